// A data track: a thermometer pushes frames, and a display reads them with the schema that describes them.
//   node examples/data-tracks.mjs ws://127.0.0.1:7880 "$TOKEN_OF_THERMOMETER" "$TOKEN_OF_DISPLAY"
import { Room } from 'offhook';

const [url, ...tokens] = process.argv.slice(2);
const schema = { name: 'temperature', encoding: 'jsonSchema' };

const [thermometer, display] = [new Room(), new Room()];
const found = new Promise((resolve) => display.once('dataTrackPublished', resolve));
await Promise.all([thermometer.connect(url, tokens[0]), display.connect(url, tokens[1])]);

const me = thermometer.localParticipant;
await me.defineSchema(schema, '{"type":"object","properties":{"celsius":{"type":"number"}}}');
const track = await me.publishDataTrack({ name: 'kitchen', schema, frameEncoding: 'json' });
let celsius = 20;
const pushing = setInterval(() => {
  const payload = new TextEncoder().encode(JSON.stringify({ celsius: celsius++ }));
  track.push({ payload, userTimestamp: BigInt(Date.now()) });
}, 50);

const { participant, track: kitchen } = await found;
console.log(`${participant.identity} publishes ${kitchen.info.name} as ${kitchen.info.frameEncoding}`);
const definition = await display.localParticipant.getSchema(kitchen.info.schema, participant.identity);
console.log(`its frames are ${definition}`);
let count = 0;
for await (const { payload, userTimestamp } of kitchen.frames({ signal: AbortSignal.timeout(20_000) })) {
  const ageMs = Date.now() - Number(userTimestamp);
  console.log(`a frame of ${ageMs} ms ago: ${new TextDecoder().decode(payload)}`);
  if (++count === 3) break;
}

clearInterval(pushing);
track.unpublish();
await Promise.all([thermometer.disconnect(), display.disconnect()]);
