// Telephones: SIP by the gateway's own stack, RTP as plain packets of silence and clicks, so that they cost little.
import { createSocket } from 'node:dgram';
import { AudioSource } from '../../../dist/audio/index.js';
import { RemoteAudioTrack, Room } from '../../../dist/room/index.js';
import { parseRtp, serializeRtp } from '../../../dist/rtp/index.js';
import { signAccess } from '../../../dist/server/index.js';
import { OutgoingCall, SipEndpoint } from '../../../dist/sip/call/index.js';
import { encodeG711, Negotiation } from '../../../dist/sip/media/index.js';
import { parseUri } from '../../../dist/sip/message/index.js';

const target = parseUri(`sip:1234@127.0.0.1:${process.argv[2]}`);
const endpoint = await SipEndpoint.open({ host: '127.0.0.1', port: 0 });
const silence = Buffer.from(encodeG711(new Int16Array(160), 'mu'));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const calls = new Set();

class Phone {
  received = 0;
  lost = 0;
  #last;
  #sequence = 0;
  #timestamp = 0;
  onPacket = () => {};

  async open() {
    this.socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    await new Promise((resolve) => this.socket.bind(0, '127.0.0.1', resolve));
    const { port } = this.socket.address();
    this.negotiation = new Negotiation(
      { address: '127.0.0.1', port, rtcpPort: port + 1 },
      { codecs: ['PCMU'] },
    );
    this.socket.on('message', (packet) => {
      const rtp = parseRtp(packet);
      if (rtp?.payloadType !== 0) return;
      this.received++;
      if (this.#last !== undefined)
        this.lost += Math.max(0, ((rtp.sequenceNumber - this.#last - 1) << 16) >> 16);
      this.#last = rtp.sequenceNumber;
      this.onPacket(rtp);
    });
    return this;
  }

  dial(user) {
    const startedMs = performance.now();
    return new Promise((resolve, reject) => {
      const named = (name) => ({ uri: parseUri(`sip:${name}@127.0.0.1`), params: new Map() });
      this.call = new OutgoingCall(
        endpoint,
        {
          target,
          protocol: 'udp',
          from: named(user),
          to: named('1234'),
          offer: () => this.negotiation.offer(),
        },
        {
          onRinging: () => {
            this.rang = true;
          },
          onAnswered: (session, response) => {
            const accepted = this.negotiation.accept(response.body);
            this.remote = accepted.media.remote;
            this.session = session;
            resolve(performance.now() - startedMs);
          },
          onFailed: (status, reason) => reject(new Error(`${status} ${reason}`)),
        },
      );
    });
  }

  say(payload = silence) {
    const header = {
      payloadType: 0,
      marker: false,
      sequenceNumber: this.#sequence,
      timestamp: this.#timestamp,
      ssrc: 1,
    };
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#timestamp = (this.#timestamp + 160) >>> 0;
    this.socket.send(serializeRtp(header, payload), this.remote.port, this.remote.address);
  }

  close() {
    this.session?.bye();
    this.socket.close();
  }
}

/** Every telephone that is connected says 20 ms of silence, again and again. */
async function talkUntil(isOver) {
  const startedMs = performance.now();
  for (let n = 1; !isOver(); n++) {
    for (const phone of calls) phone.say();
    await sleep(Math.max(0, startedMs + n * 20 - performance.now()));
  }
}

const acts = {
  start: async () => ({}),
  call: async ({ count, perSecond }) => {
    // A phone that is connected talks while others still dial.
    let over = false;
    const talking = talkUntil(() => over);
    const answerMs = [];
    const failures = [];
    const dialling = [];
    for (let i = 0; i < count; i++) {
      const phone = await new Phone().open();
      dialling.push(
        phone.dial(`caller${i}`).then(
          (ms) => {
            answerMs.push(ms);
            calls.add(phone);
          },
          (error) => {
            failures.push(error.message);
            phone.socket.close();
          },
        ),
      );
      await sleep(1_000 / perSecond);
    }
    await Promise.all(dialling);
    over = true;
    await talking;
    return { answerMs, failures };
  },
  talk: async ({ talkMs }) => {
    for (const phone of calls) {
      phone.received = 0;
      phone.lost = 0;
    }
    const startedMs = performance.now();
    await talkUntil(() => performance.now() - startedMs >= talkMs);
    const all = [...calls];
    const sum = (name) => all.reduce((total, phone) => total + phone[name], 0);
    return {
      expected: Math.round(((performance.now() - startedMs) / 20) * all.length),
      received: sum('received'),
      lost: sum('lost'),
    };
  },
  // New calls at a steady rate; each one talks for a while and hangs up.
  rate: async ({ perSecond, seconds, talkMs }) => {
    const answerMs = [];
    const ended = [];
    const sums = { failed: 0, received: 0, lost: 0, mostAtOnce: 0 };
    let over = false;
    const talking = talkUntil(() => over);
    const oneCall = async (i) => {
      const phone = await new Phone().open();
      try {
        answerMs.push(await phone.dial(`caller${i}`));
        calls.add(phone);
        sums.mostAtOnce = Math.max(sums.mostAtOnce, calls.size);
        await sleep(talkMs);
        calls.delete(phone);
        sums.received += phone.received;
        sums.lost += phone.lost;
        phone.close();
      } catch {
        sums.failed++;
        phone.socket.close();
      }
    };
    const startedMs = performance.now();
    for (let i = 0; i < perSecond * seconds; i++) {
      ended.push(oneCall(i));
      await sleep(Math.max(0, startedMs + ((i + 1) * 1_000) / perSecond - performance.now()));
    }
    await Promise.all(ended);
    over = true;
    await talking;
    return { answerMs, ...sums };
  },
  hangUp: async () => {
    for (const phone of calls) phone.close();
    calls.clear();
    await sleep(2_000);
    return {};
  },
  // Calls that are given up at a random moment: at once, before it rings, while the agent joins, before it speaks.
  cancel: async ({ count, perSecond, withinMs }) => {
    const cancelled = [];
    const startedMs = performance.now();
    const ended = [];
    for (let i = 0; i < count; i++) {
      ended.push(cancelOne(`cancel${i}`, withinMs).then((one) => cancelled.push(one)));
      await sleep(Math.max(0, startedMs + ((i + 1) * 1_000) / perSecond - performance.now()));
    }
    await Promise.all(ended);
    return { cancelled };
  },
  latency: async ({ url }) => latency(url),
};

/** Those that wait for 487, by Call-ID. */
const awaitingRefusal = new Map();
/** The last status that a call heard. */
const lastStatus = new Map();
endpoint.onTrace = ({ direction, message }) => {
  if (direction !== 'in' || message.kind !== 'response') return;
  if (message.cseq.method === 'INVITE') lastStatus.set(message.callId, message.status);
  if (message.status === 487) awaitingRefusal.get(message.callId)?.();
};

async function cancelOne(user, withinMs) {
  const phone = await new Phone().open();
  let isAnswered = false;
  phone.dial(user).then(
    () => {
      isAnswered = true;
    },
    () => {},
  );
  // Short waits more often than long ones: what happens first in a call happens within milliseconds.
  const delayMs = withinMs * Math.random() ** 3;
  if (delayMs >= 1) await sleep(delayMs);
  else await new Promise((resolve) => setImmediate(resolve));
  const startedMs = performance.now();
  const atMs = performance.timeOrigin + startedMs;
  const { callId } = phone.call;
  const heard = lastStatus.get(callId) ?? 0;
  if (isAnswered) {
    phone.close();
    return { user, atMs, isAnswered };
  }
  const refused = new Promise((resolve) => awaitingRefusal.set(callId, () => resolve(true)));
  phone.call.cancel();
  // An answer may cross the CANCEL; the call hangs up on it by itself.
  const isRefused = await Promise.race([refused, sleep(5_000)]);
  awaitingRefusal.delete(callId);
  lastStatus.delete(callId);
  phone.close();
  return { user, atMs, isAnswered, heard, ...(isRefused ? { cancelMs: performance.now() - startedMs } : {}) };
}

/** Clicks of a telephone, and of a participant, as another participant hears them. */
async function latency(url) {
  const phone = await new Phone().open();
  await phone.dial('latency');
  const click = Int16Array.from(
    { length: 160 },
    (_, i) => 20_000 * Math.sin((2 * Math.PI * 440 * i) / 8_000),
  );
  const clickPayload = Buffer.from(encodeG711(click, 'mu'));
  const room = await roomOfPhone(url);
  const listener = await join(url, room, 'listener');
  const speaker = await join(url, room, 'speaker');
  const source = new AudioSource({ sampleRate: 8_000, numChannels: 1, queueSizeMs: 100 });
  await speaker.localParticipant.publishAudio(source, { dtx: false, red: false });
  const waiting = { sip: undefined, speaker: undefined };
  const found = { sip: [], speaker: [] };
  const hear = (name, track) =>
    track.openStream({
      sampleRate: 8_000,
      numChannels: 1,
      onFrame: ({ data }) => {
        if (waiting[name] === undefined || !data.some((sample) => Math.abs(sample) > 4_000)) return;
        found[name].push(performance.now() - waiting[name]);
        waiting[name] = undefined;
      },
      onEnd: () => {},
    });
  for (const participant of listener.remoteParticipants.values()) {
    for (const { track } of participant.publications.values()) {
      const name = participant.identity.startsWith('sip_') ? 'sip' : participant.identity;
      if (track instanceof RemoteAudioTrack && name in waiting) hear(name, track);
    }
  }
  listener.onEvent = (event) => {
    if (event.type !== 'trackSubscribed' || !(event.track instanceof RemoteAudioTrack)) return;
    const name = event.participantIdentity.startsWith('sip_') ? 'sip' : event.participantIdentity;
    if (name in waiting) hear(name, event.track);
  };
  const frame = (data) =>
    source.captureFrame({ data, sampleRate: 8_000, numChannels: 1, samplesPerChannel: 160 });
  const quiet = new Int16Array(160);
  const startedMs = performance.now();
  for (let n = 1; n <= 1_500; n++) {
    const clicks = n > 150 && n % 25 === 0;
    const nowMs = performance.now();
    if (clicks) Object.assign(waiting, { sip: nowMs, speaker: nowMs });
    phone.say(clicks ? clickPayload : silence);
    void frame(clicks ? click : quiet);
    await sleep(Math.max(0, startedMs + n * 20 - performance.now()));
  }
  for (const one of [listener, speaker]) await one.disconnect();
  phone.close();
  const at = (values, q) =>
    Math.round([...values].sort((a, b) => a - b)[Math.floor(values.length * q)] * 10) / 10;
  const of = (values) => ({ p50: at(values, 0.5), p99: at(values, 0.99), n: values.length });
  return { telephone: of(found.sip), participant: of(found.speaker) };
}

async function join(url, room, identity) {
  const token = await signAccess('devkey', 'secret', {
    identity,
    grants: { roomJoin: true, room },
    lifetime: '1h',
  });
  const joined = new Room({ name: identity });
  await joined.connect(url, token, { waitFor: 'media' });
  return joined;
}

async function roomOfPhone(url) {
  const token = await signAccess('devkey', 'secret', {
    identity: 'admin',
    grants: { roomList: true },
    lifetime: '1h',
  });
  const response = await fetch(`${url.replace('ws:', 'http:')}/twirp/livekit.RoomService/ListRooms`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: '{}',
  });
  const { rooms } = await response.json();
  return rooms.find(({ name }) => name.startsWith('call_latency')).name;
}

process.on('message', ({ what, ...value }) => {
  acts[what](value).then(
    (answer) => process.send(answer),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on('SIGTERM', () => process.exit(0));
