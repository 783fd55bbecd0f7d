/** What a library needs to find its files, speak to a network and write text; nothing that holds a secret. */
const passed = new Set([
  'HOME',
  'LANG',
  'PATH',
  'TMPDIR',
  'TZ',
  'LD_LIBRARY_PATH',
  'DYLD_LIBRARY_PATH',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
  'MKL_NUM_THREADS',
  'OMP_NUM_THREADS',
  'OPENBLAS_NUM_THREADS',
  'SYSTEMROOT',
  'TEMP',
  'TMP',
  'USERPROFILE',
]);

/**
 * The environment of a plugin's process: a short list of names, every name that begins with `OFFHOOK_PLUGIN_`, and
 * those that `OFFHOOK_FILTER_ENV` lists (separated by commas).
 */
export function hostEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const listed = new Set((environment.OFFHOOK_FILTER_ENV ?? '').split(',').map((name) => name.trim()));
  return Object.fromEntries(
    Object.entries(environment).filter(
      ([name]) => passed.has(name.toUpperCase()) || name.startsWith('OFFHOOK_PLUGIN_') || listed.has(name),
    ),
  );
}
