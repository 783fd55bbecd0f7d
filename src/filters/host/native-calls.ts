import koffi from 'koffi';

// Plugins expect the stack of an ordinary thread. It can be set only before the first library is loaded.
koffi.config({ sync_stack_size: 8 << 20, async_stack_size: 8 << 20 });

export { koffi };
