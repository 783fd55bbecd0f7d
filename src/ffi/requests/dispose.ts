import type { Context } from '../context.js';
import type { Handler } from '../handler.js';
import { FfiRoom } from '../objects/ffi-room.js';

/** Leaves every room, then drops every handle. */
export async function disposeAll({ handles, filters }: Context): Promise<void> {
  await Promise.allSettled([...handles.all(FfiRoom)].map((room) => room.disconnect()));
  handles.dropAll();
  filters.close();
}

/** Everything is closed at once or, when asked so, with a callback at the end. */
export const dispose: Handler<'dispose'> = (request, context) => {
  const work = disposeAll(context);
  if (!request.async) return {};
  return context.call('dispose', undefined, async () => {
    await work;
    return {};
  });
};
