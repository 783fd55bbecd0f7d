// An agent that takes no call: what its job process costs before there is one.
import { defineAgent } from '@livekit/agents';

export default defineAgent({ entry: async () => {} });
