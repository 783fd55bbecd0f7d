// Video that the program encodes itself: it sends key frames when they are asked for, and keeps to the rate that the path
// carries. A second participant sees it.
//   node examples/encoded-video.mjs ws://127.0.0.1:7880 "$TOKEN_OF_CAMERA" "$TOKEN_OF_VIEWER"
import { VideoEncoder, VideoFrame } from '@napi-rs/webcodecs';
import { EncodedVideoSource, RemoteVideoTrack, Room } from 'offhook';

const [url, ...tokens] = process.argv.slice(2);
const [width, height, framesPerSecond] = [320, 180, 15];

const [camera, viewer] = [new Room(), new Room()];
const subscribed = new Promise((resolve) => viewer.once('trackSubscribed', ({ track }) => resolve(track)));
await Promise.all([camera.connect(url, tokens[0]), viewer.connect(url, tokens[1])]);

const source = new EncodedVideoSource({ width, height });
await camera.localParticipant.publishVideo(source, { codec: 'vp8', simulcast: false });

const settings = { codec: 'vp8', width, height, framerate: framesPerSecond, latencyMode: 'realtime' };
const encoder = new VideoEncoder({
  error: (error) => console.error(error.message),
  output: (chunk) => {
    const data = new Uint8Array(chunk.byteLength);
    chunk.copyTo(data);
    const { timestamp: timestampUs, type } = chunk;
    source.captureFrame({ data, codec: 'vp8', isKeyFrame: type === 'key', width, height, timestampUs });
  },
});
encoder.configure({ ...settings, bitrate: 300_000 });

let count = 0;
const filming = setInterval(() => {
  const { isKeyFrameRequested, rate } = source.takeFeedback();
  if (rate) encoder.configure({ ...settings, bitrate: rate.bitrateBps });
  if (isKeyFrameRequested) console.log('a key frame is asked for');
  const grey = new Uint8Array(width * height * 1.5).fill(128).fill(100 + (count % 50), 0, width * height);
  const timestamp = Math.round((count * 1_000_000) / framesPerSecond);
  const frame = new VideoFrame(grey, { format: 'I420', codedWidth: width, codedHeight: height, timestamp });
  encoder.encode(frame, { keyFrame: isKeyFrameRequested || count === 0 });
  frame.close();
  count++;
}, 1_000 / framesPerSecond);

const track = await subscribed;
if (!(track instanceof RemoteVideoTrack)) throw new Error('the track is no video');
let seen = 0;
for await (const picture of track.frames({ signal: AbortSignal.timeout(20_000) })) {
  console.log(`the viewer sees ${picture.width} x ${picture.height}, luma ${picture.data[0]}`);
  if (++seen === 5) break;
}

clearInterval(filming);
encoder.close();
await Promise.all([camera.disconnect(), viewer.disconnect()]);
