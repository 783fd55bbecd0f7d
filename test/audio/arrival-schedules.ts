import { readFileSync } from 'node:fs';
import { seededRandom } from './seeded-random.js';

/** When each packet of 20 ms arrives, in ms after the first was sent; undefined where it is lost. */
export interface ArrivalSchedule {
  name: string;
  arrivalsMs: (number | undefined)[];
}

const packetMs = 20;

/** A queue on the way keeps packets in order: none arrives before the one sent before it. */
function queued(
  name: string,
  packets: number,
  delayOf: (index: number) => number | undefined,
): ArrivalSchedule {
  let last = 0;
  const arrivalsMs = Array.from({ length: packets }, (_, i) => {
    const delayMs = delayOf(i);
    if (delayMs === undefined) return undefined;
    last = Math.max(last, i * packetMs + delayMs);
    return last;
  });
  return { name, arrivalsMs };
}

/** Gilbert's model: losses come in bursts of `meanBurst` packets. */
function burstyLoss(rate: number, meanBurst: number, random: () => number): () => boolean {
  let losing = false;
  const leave = 1 / meanBurst;
  const enter = (leave * rate) / (1 - rate);
  return () => {
    losing = losing ? random() >= leave : random() < enter;
    return losing;
  };
}

const exponential = (meanMs: number, random: () => number) => -meanMs * Math.log(1 - random());

export function lan(packets: number): ArrivalSchedule {
  const random = seededRandom(1);
  return queued('LAN', packets, () => 1 + random());
}

/** A few ms of jitter and, about once in a second, a stall of 30 to 70 ms (a retry, a scan). */
export function wifi(packets: number): ArrivalSchedule {
  const random = seededRandom(2);
  return queued('wifi', packets, () => {
    const stallMs = random() < 0.02 ? 30 + 40 * random() : 0;
    return 4 + exponential(3, random) + stallMs;
  });
}

export function lossy(packets: number, rate: number): ArrivalSchedule {
  const random = seededRandom(2);
  const lost = burstyLoss(rate, 2, random);
  return queued(`${rate * 100} % loss in bursts`, packets, () =>
    lost() ? undefined : 20 + exponential(2, random),
  );
}

/** One stall of 200 ms after ten seconds; what was held up then arrives at once. */
export function spike(packets: number): ArrivalSchedule {
  const random = seededRandom(4);
  return queued('200 ms spike', packets, (i) => 20 + random() + (i === 500 ? 200 : 0));
}

/** The sender's clock runs fast (positive) or slow by so many parts in a million. */
export function drift(packets: number, partsPerMillion: number): ArrivalSchedule {
  const random = seededRandom(5);
  return queued(`clock drift of ${partsPerMillion} ppm`, packets, (i) => {
    return 60 + random() - (i * packetMs * partsPerMillion) / 1e6;
  });
}

/** Every seventh packet overtakes the two before it. */
export function reordered(packets: number): ArrivalSchedule {
  const random = seededRandom(6);
  const arrivalsMs = Array.from(
    { length: packets },
    (_, i) => i * packetMs + 50 + random() - (i % 7 === 6 ? 45 : 0),
  );
  return { name: 'reordered', arrivalsMs };
}

/** A schedule that was recorded; the file says where. */
export function recorded(file: string): ArrivalSchedule {
  const text = readFileSync(new URL(`./fixtures/${file}`, import.meta.url), 'utf8');
  const fields = text.replace(/^#.*$/gm, '').split(/\s+/).filter(Boolean);
  return { name: `recorded: ${file}`, arrivalsMs: fields.map((ms) => (ms === '-' ? undefined : Number(ms))) };
}
