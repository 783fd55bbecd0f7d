// Video with the library: publishes a moving picture, and says what is seen of the others.
//   node examples/video.mjs URL TOKEN
// It leaves after five seconds. Needs the codecs beside offhook: npm install @napi-rs/webcodecs
import { OffhookError, RemoteVideoTrack, Room, VideoSource } from 'offhook';

const [url, token] = process.argv.slice(2);
const [width, height] = [640, 360];
const framesPerSecond = 15;
const stayMs = 5_000;

const room = new Room({ name: 'video example' });
room.on('trackSubscribed', async ({ participant, track }) => {
  if (track instanceof RemoteVideoTrack) await watch(participant.identity, track);
});

/** Says when the first picture comes, and at the end how many there were. A program that is slow gets the newest. */
async function watch(identity, track) {
  let count = 0;
  try {
    for await (const { data, width, height } of track.frames({ format: 'rgba' })) {
      if (count++ > 0) continue;
      const middle = 4 * (width * Math.floor(height / 2) + Math.floor(width / 2));
      console.log(
        `${identity}: ${width} x ${height}, rgb(${data.subarray(middle, middle + 3).join(', ')}) in the middle`,
      );
    }
  } catch (error) {
    console.error(error instanceof OffhookError ? error.toLine() : error);
  }
  console.log(`${identity}: ${count} pictures`);
}

/** A bar of light that moves over blue. */
function picture(count) {
  const data = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const isBar = (x + 8 * count) % width < 40;
      data.set(isBar ? [240, 230, 120, 255] : [30, 60, 140, 255], 4 * (y * width + x));
    }
  }
  return { data, format: 'rgba', width, height };
}

async function film(source, signal) {
  for (let count = 0; !signal.aborted; count++) {
    source.captureFrame(picture(count));
    await new Promise((resolve) => setTimeout(resolve, 1_000 / framesPerSecond));
  }
}

try {
  await room.connect(url, token);
  const source = new VideoSource({ width, height });
  const publication = await room.localParticipant.publishVideo(source, { framesPerSecond });
  console.log(`filming as ${publication.sid}`);
  await film(source, AbortSignal.timeout(stayMs));
} catch (error) {
  console.error(error instanceof OffhookError ? error.toLine() : error);
  process.exitCode = 1;
}
await room.disconnect();
