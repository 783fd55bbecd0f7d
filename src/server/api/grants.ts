import type { Access } from '../access-token.js';
import { TwirpError } from './twirp.js';

function require(allowed: boolean | undefined, grant: string): void {
  if (!allowed) throw new TwirpError('unauthenticated', `permissions denied: the token lacks ${grant}`);
}

export const requireCreate = (access: Access | undefined): void =>
  require(access?.grants.roomCreate, 'the roomCreate grant');

export const requireList = (access: Access | undefined): void =>
  require(access?.grants.roomList, 'the roomList grant');

export const requireAdmin = (access: Access | undefined, room: string): void =>
  require(access?.grants.roomAdmin && access.grants.room === room, `the roomAdmin grant for room "${room}"`);
