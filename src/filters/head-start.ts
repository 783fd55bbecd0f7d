/** How long joining has the machine for itself. */
const headStartMs = 50;

/** Calls `begin` once `joined` has settled, or after 50 ms. */
export function afterHeadStart(joined: Promise<unknown>, begin: () => void): void {
  let begun = false;
  const once = () => {
    clearTimeout(timer);
    if (!begun) begin();
    begun = true;
  };
  const timer = setTimeout(once, headStartMs).unref();
  joined.then(once, once);
}
