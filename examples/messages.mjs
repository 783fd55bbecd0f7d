// Two participants who talk without sound: an RPC, a text stream and a data packet, on @livekit/rtc-node.
//   node --import offhook/register examples/messages.mjs URL TOKEN_OF_WAITER TOKEN_OF_GUEST
import { dispose, Room, RoomEvent } from '@livekit/rtc-node';

const [url, waiterToken, guestToken] = process.argv.slice(2);

const waiter = new Room();
await waiter.connect(url, waiterToken);
waiter.localParticipant.registerRpcMethod('order', async ({ callerIdentity, payload }) => {
  return `${JSON.parse(payload).dish} for ${callerIdentity}, coming up`;
});

const guest = new Room();
await guest.connect(url, guestToken);
const answer = await guest.localParticipant.performRpc({
  destinationIdentity: waiter.localParticipant.identity,
  method: 'order',
  payload: JSON.stringify({ dish: 'soup' }),
});
console.log(`the waiter says: ${answer}`);

const menu = new Promise((resolve) => {
  guest.registerTextStreamHandler('menu', async (reader) => resolve(await reader.readAll()));
});
await waiter.localParticipant.sendText('soup, bread, soup with bread', { topic: 'menu' });
console.log(`the menu says: ${await menu}`);

const bell = new Promise((resolve) => {
  waiter.on(RoomEvent.DataReceived, (payload) => resolve(new TextDecoder().decode(payload)));
});
await guest.localParticipant.publishData(new TextEncoder().encode('ding'), { reliable: true });
console.log(`the bell says: ${await bell}`);

await guest.disconnect();
await waiter.disconnect();
await dispose();
