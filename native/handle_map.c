#include "handle_map.h"

#include <stdlib.h>

/* Linear probing; 0 is no handle and marks an empty place. */

static size_t place_of(const struct handle_map *map, uint64_t handle) {
  size_t place = (size_t)(handle * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (map->capacity - 1);
  while (map->handles[place] != 0 && map->handles[place] != handle) place = (place + 1) & (map->capacity - 1);
  return place;
}

static bool grow(struct handle_map *map) {
  struct handle_map larger = {.capacity = map->capacity ? map->capacity * 2 : 64};
  larger.handles = calloc(larger.capacity, sizeof *larger.handles);
  larger.values = calloc(larger.capacity, sizeof *larger.values);
  if (!larger.handles || !larger.values) {
    handle_map_clear(&larger);
    return false;
  }
  for (size_t i = 0; i < map->capacity; i++) {
    if (map->handles[i] != 0) handle_map_add(&larger, map->handles[i], map->values[i]);
  }
  handle_map_clear(map);
  *map = larger;
  return true;
}

bool handle_map_add(struct handle_map *map, uint64_t handle, void *value) {
  if (handle == 0 || (map->count * 2 >= map->capacity && !grow(map))) return false;
  size_t place = place_of(map, handle);
  if (map->handles[place] == 0) map->count++;
  map->handles[place] = handle;
  map->values[place] = value;
  return true;
}

bool handle_map_has(const struct handle_map *map, uint64_t handle) {
  return handle != 0 && map->count > 0 && map->handles[place_of(map, handle)] == handle;
}

bool handle_map_take(struct handle_map *map, uint64_t handle, void **value) {
  if (!handle_map_has(map, handle)) return false;
  size_t hole = place_of(map, handle);
  if (value) *value = map->values[hole];
  map->handles[hole] = 0;
  map->count--;
  /* What was pushed along by the entry that is gone moves back. */
  for (size_t next = (hole + 1) & (map->capacity - 1); map->handles[next] != 0; next = (next + 1) & (map->capacity - 1)) {
    uint64_t moved = map->handles[next];
    void *moved_value = map->values[next];
    map->handles[next] = 0;
    size_t place = place_of(map, moved);
    map->handles[place] = moved;
    map->values[place] = moved_value;
  }
  return true;
}

void handle_map_clear(struct handle_map *map) {
  free(map->handles);
  free(map->values);
  *map = (struct handle_map){0};
}
