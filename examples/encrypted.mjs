// Two participants of a room that is encrypted end to end, and a third who has another key: it gets nothing but states.
//   node examples/encrypted.mjs URL TOKEN_OF_ADA TOKEN_OF_BOB TOKEN_OF_EVE
import { AudioSource, Room } from 'offhook';

const [url, adaToken, bobToken, eveToken] = process.argv.slice(2);
const sampleRate = 48_000;

/** Says when the first sound of Ada arrives. */
function listen(room, name) {
  room.on('trackSubscribed', async ({ track }) => {
    for await (const { data } of track.frames({ sampleRate, numChannels: 1 })) {
      if (!data.some((sample) => Math.abs(sample) > 1_000)) continue;
      console.log(`${name} hears Ada`);
      return;
    }
  });
  room.on('dataReceived', ({ payload }) =>
    console.log(`${name} reads: ${new TextDecoder().decode(payload)}`),
  );
}

const bob = new Room({ name: 'bob' });
listen(bob, 'Bob');
await bob.connect(url, bobToken, { encryption: { key: 'the key of Ada and Bob' } });

const eve = new Room({ name: 'eve' });
listen(eve, 'Eve');
const refused = new Promise((resolve) => {
  eve.on('encryptionStateChanged', ({ participantIdentity, state }) => {
    console.log(`Eve cannot read ${participantIdentity}: ${state}`);
    resolve();
  });
});
await eve.connect(url, eveToken, { encryption: { key: 'a guess' } });

const ada = new Room({ name: 'ada' });
await ada.connect(url, adaToken, { waitFor: 'media', encryption: { key: 'the key of Ada and Bob' } });
const source = new AudioSource({ sampleRate });
await ada.localParticipant.publishAudio(source);
await ada.localParticipant.publishData(new TextEncoder().encode('a secret'));
const samplesPerChannel = sampleRate / 100;
for (let frame = 0; frame < 300; frame++) {
  const data = new Int16Array(samplesPerChannel);
  for (let i = 0; i < data.length; i++) {
    data[i] = 8_000 * Math.sin((2 * Math.PI * 440 * (frame * data.length + i)) / sampleRate);
  }
  await source.captureFrame({ data, sampleRate, numChannels: 1, samplesPerChannel });
}
await refused;
await Promise.all([ada, bob, eve].map((room) => room.disconnect()));
