/*
 * Where the engine process of the C library begins. It is loaded by whatever Node was found, so it first says which one is
 * needed.
 */
const oldestMajor = 20;
const major = Number(process.versions.node.split('.')[0]);

if (major < oldestMajor) {
  process.stderr.write(
    `offhook: the engine needs Node ${oldestMajor} or later, and ${process.execPath} is ${process.version}: set OFFHOOK_NODE\n`,
  );
  process.exit(78);
}
try {
  await import('./engine-process.js');
} catch (error) {
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`offhook: the engine could not start: ${reason}\n`);
  process.exit(70);
}

export {};
