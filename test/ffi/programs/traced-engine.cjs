// Stands between a program and its engine, and writes down what they say to each other: set as
// NAPI_RS_NATIVE_LIBRARY_PATH, with TRACED_ENGINE naming the engine's own module and TRACE the file to write.
const { appendFileSync } = require('node:fs');

const engine = require(process.env.TRACED_ENGINE);
// Lazily: that package is loading this file right now.
let bindings;
const messages = () => {
  bindings ??= require('@livekit/rtc-ffi-bindings');
  return bindings;
};
const write = (kind, { message }) => {
  const { case: name, value } = message.case === 'roomEvent' ? message.value.message : message;
  const content = value?.toJson?.() ?? null;
  appendFileSync(process.env.TRACE, `${JSON.stringify({ kind, name, content })}\n`);
};

module.exports = {
  ...engine,
  livekitInitialize: (callback, captureLogs, sdkVersion) =>
    engine.livekitInitialize(
      (bytes) => {
        write('event', messages().FfiEvent.fromBinary(bytes));
        callback(bytes);
      },
      captureLogs,
      sdkVersion,
    ),
  livekitFfiRequest: (bytes) => {
    write('request', messages().FfiRequest.fromBinary(bytes));
    return engine.livekitFfiRequest(bytes);
  },
};
