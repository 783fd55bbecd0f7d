/** How long joining has the machine for itself. */
const headStartMs = 100;

/** Calls `begin` once `joined` has settled, or after 100 ms. */
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
