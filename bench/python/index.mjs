// What `npm run bench -- --python` measures: the figures of the Node bench on Python's `livekit`, and those that only it has.
import { connect } from '../measures/connect.mjs';
import { firstAudio } from '../measures/first-audio.mjs';
import { rpc } from '../measures/rpc.mjs';
import { coldConnect } from './cold-connect.mjs';
import { pythonRooms } from './rooms.mjs';
import { scene } from './scene.mjs';

export const pythonMeasures = [connect, coldConnect, firstAudio, rpc, ...pythonRooms, scene];

const round = (value) =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
const ratio = (value, native) => (native ? ` (${(value / native).toFixed(2)})` : '');

/** The lines of a result whose engines are more than two; the figure in parentheses is the ratio to native. */
export function describePythonResult({ unit, failed, name, title, ...kinds }) {
  if (failed) return [`failed: ${failed}`];
  if (unit === 'processes') {
    return Object.entries(kinds).map(([kind, usage]) => {
      const { native } = kinds;
      return [
        `${kind.padEnd(8)}`,
        `CPU ${round(usage.cpuMsPerSecondAndRoom)}${ratio(usage.cpuMsPerSecondAndRoom, native.cpuMsPerSecondAndRoom)} ms/s and room`,
        `RSS ${round(usage.rssMb)}${ratio(usage.rssMb, native.rssMb)} MB`,
        `PSS ${round(usage.pssMb)}${ratio(usage.pssMb, native.pssMb)} MB`,
        `${usage.processes} processes`,
        `${round(usage.framesHeardPerSecondAndRoom)} frames/s and room`,
      ].join(', ');
    });
  }
  if (unit === 'calls') {
    return Object.entries(kinds).map(
      ([kind, { calls, answered, ms }]) =>
        `${kind.padEnd(20)} ${answered} of ${calls} heard${ms ? `, median ${round(ms.median)} ms, quartiles ${round(ms.q1)} to ${round(ms.q3)}` : ''}`,
    );
  }
  return Object.entries(kinds).map(
    ([kind, { median, q1, q3, count }]) =>
      `${kind.padEnd(8)} ${round(median)}${ratio(median, kinds.native.median)} ms, quartiles ${round(q1)} to ${round(q3)}, ${count} times`,
  );
}
