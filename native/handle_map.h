/* The handles that the library answers for itself: buffers in the arena, and responses. */
#ifndef OFFHOOK_HANDLE_MAP_H
#define OFFHOOK_HANDLE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct handle_map {
  uint64_t *handles;
  void **values;
  /** A power of two, or 0. */
  size_t capacity;
  size_t count;
};

/** False when memory is short. A handle that is there keeps its place. */
bool handle_map_add(struct handle_map *map, uint64_t handle, void *value);
/** Takes a handle out. Returns whether it was there. */
bool handle_map_take(struct handle_map *map, uint64_t handle, void **value);
bool handle_map_has(const struct handle_map *map, uint64_t handle);
void handle_map_clear(struct handle_map *map);

#endif
