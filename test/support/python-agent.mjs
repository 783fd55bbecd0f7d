// The agent of examples/python as a worker of livekit-agents.
import { fileURLToPath } from 'node:url';
import { freeTcpPort } from './livekit-server.mjs';
import { Program } from './program.mjs';

const script = fileURLToPath(new URL('../../examples/python/agent.py', import.meta.url));
const readyTimeoutMs = 60_000;

/**
 * Starts a worker on `engine`; resolves when a call to it finds a job process ready.
 *
 * @param {{ url: string, apiKey: string, apiSecret: string }} server
 * @param {import('./program.mjs').Engine} engine
 * @param {Record<string, string>} [env]
 */
export async function startPythonAgent(server, engine, env = {}) {
  const agent = new Program(script, {
    engine,
    args: ['start'],
    env: {
      LIVEKIT_URL: server.url,
      LIVEKIT_API_KEY: server.apiKey,
      LIVEKIT_API_SECRET: server.apiSecret,
      AGENT_PORT: String(await freeTcpPort()),
      ...env,
    },
  });
  try {
    await agent.waitForLine('registered worker', readyTimeoutMs);
    await agent.waitForLine('ready for a call', readyTimeoutMs);
  } catch (error) {
    await agent.stop(500);
    throw error;
  }
  return agent;
}

/**
 * What puts the filter at `library` into the agent's calls, whose on_load never returns.
 *
 * @param {string} library
 */
export const blockingFilter = (library) => ({
  NOISE_FILTER_LIBRARY: library,
  NOISE_FILTER_ON_LOAD: 'block',
  OFFHOOK_FILTER_ENV: 'NOISE_FILTER_ON_LOAD',
});
