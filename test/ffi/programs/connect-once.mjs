// Connects to a room, says how that went, and leaves. Arguments: url, token.
const [url, token] = process.argv.slice(2);
const { Room } = await import(process.env.RTC_PACKAGE ?? '@livekit/rtc-node');
const room = new Room();
const startedMs = performance.now();
const tell = (event, more) =>
  console.log(JSON.stringify({ event, atMs: Date.now(), elapsedMs: performance.now() - startedMs, ...more }));
try {
  await room.connect(url, token, { autoSubscribe: true, dynacast: false });
  tell('connected', { name: room.name });
  await room.disconnect();
} catch (error) {
  tell('failed', { message: error.message });
}
