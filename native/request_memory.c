#include "request_memory.h"

struct rule {
  uint32_t request;
  /** The field of the request that holds the following ones; 0 when the request itself does. */
  uint32_t inside;
  uint32_t pointer;
  /** The length is the product of these fields (0: none) and `unit_bytes`. */
  uint32_t lengths[2];
  uint32_t unit_bytes;
};

/* By field number of the request in FfiRequest. */
static const struct rule rules[] = {
    {7, 0, 2, {3, 0}, 1},   /* publish_data */
    {27, 2, 1, {2, 4}, 2},  /* capture_audio_frame */
    {30, 2, 1, {2, 4}, 2},  /* remix_and_resample */
    {34, 0, 2, {3, 0}, 1},  /* push_sox_resampler */
    {51, 0, 2, {3, 0}, 1},  /* apm_process_stream */
    {52, 0, 2, {3, 0}, 1},  /* apm_process_reverse_stream */
    {87, 2, 1, {2, 0}, 1},  /* capture_encoded_video_frame */
};
/* VideoBufferInfo, in field 2 of its requests; its planes are listed, but for those of RGB. */
enum { CAPTURE_VIDEO_FRAME = 22, VIDEO_CONVERT = 23, VIDEO_BUFFER = 2 };
enum { HEIGHT = 3, DATA_PTR = 4, STRIDE = 6, COMPONENTS = 7, COMPONENT_PTR = 1, COMPONENT_SIZE = 3 };
enum {
  CONNECT = 3,
  NEW_VIDEO_SOURCE = 21,
  NEW_AUDIO_SOURCE = 26,
  NEW_AUDIO_RESAMPLER = 29,
  NEW_SOX_RESAMPLER = 33,
  LOAD_AUDIO_FILTER_PLUGIN = 49,
  NEW_APM = 50,
};

struct bytes {
  const uint8_t *at, *end;
};

struct field {
  uint32_t number;
  /** Of a varint. */
  uint64_t value;
  /** Of a length-delimited field; `at` is NULL otherwise. */
  struct bytes content;
};

static bool read_varint(struct bytes *from, uint64_t *value) {
  *value = 0;
  for (int shift = 0; shift < 64 && from->at < from->end; shift += 7) {
    uint8_t byte = *from->at++;
    *value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

static bool skip(struct bytes *from, uint64_t length) {
  if (length > (uint64_t)(from->end - from->at)) return false;
  from->at += length;
  return true;
}

static bool read_field(struct bytes *from, struct field *field) {
  uint64_t tag, length;
  if (!read_varint(from, &tag)) return false;
  *field = (struct field){.number = (uint32_t)(tag >> 3)};
  switch (tag & 7) {
    case 0:
      return read_varint(from, &field->value);
    case 1:
      return skip(from, 8);
    case 2:
      if (!read_varint(from, &length)) return false;
      field->content.at = from->at;
      if (!skip(from, length)) return false;
      field->content.end = from->at;
      return true;
    case 5:
      return skip(from, 4);
    default:
      return false;
  }
}

/* The last value of a varint field; 0 when it is not there. */
static bool number_in(struct bytes message, uint32_t number, uint64_t *value) {
  struct field field;
  *value = 0;
  while (message.at < message.end) {
    if (!read_field(&message, &field)) return false;
    if (field.number == number) *value = field.value;
  }
  return true;
}

static bool message_in(struct bytes message, uint32_t number, struct bytes *content) {
  struct field field;
  *content = (struct bytes){NULL, NULL};
  while (message.at < message.end) {
    if (!read_field(&message, &field)) return false;
    if (field.number == number && field.content.at) *content = field.content;
  }
  return true;
}

static bool apply(const struct rule *rule, struct bytes body, struct request_memory *found) {
  if (rule->inside != 0 && !message_in(body, rule->inside, &body)) return false;
  if (!number_in(body, rule->pointer, &found->address)) return false;
  uint64_t product = rule->unit_bytes;
  for (int i = 0; i < 2; i++) {
    uint64_t factor = 1;
    if (rule->lengths[i] != 0 && !number_in(body, rule->lengths[i], &factor)) return false;
    /* Counts are 32 bits wide; a size that does not fit is no size of memory. */
    if (factor != 0 && product > (UINT64_C(1) << 40) / factor) return false;
    product *= factor;
  }
  found->length = product;
  return true;
}

/* From a picture's first byte to the end of its last row. */
static bool apply_to_picture(struct bytes body, struct request_memory *found) {
  struct bytes buffer;
  struct field field;
  uint64_t height, stride, end;
  if (!message_in(body, VIDEO_BUFFER, &buffer)) return false;
  if (!number_in(buffer, DATA_PTR, &found->address)) return false;
  if (!number_in(buffer, HEIGHT, &height) || !number_in(buffer, STRIDE, &stride)) return false;
  end = found->address + (uint64_t)(uint32_t)stride * (uint32_t)height;
  while (buffer.at < buffer.end) {
    uint64_t start, size;
    if (!read_field(&buffer, &field)) return false;
    if (field.number != COMPONENTS || !field.content.at) continue;
    if (!number_in(field.content, COMPONENT_PTR, &start)) return false;
    if (!number_in(field.content, COMPONENT_SIZE, &size)) return false;
    if (start >= found->address && start + (uint32_t)size > end) end = start + (uint32_t)size;
  }
  found->length = end - found->address;
  /* What is no size of memory is not read. */
  return found->length <= UINT64_C(1) << 40;
}

static bool names_no_handle(uint32_t request) {
  switch (request) {
    case CONNECT:
    case NEW_VIDEO_SOURCE:
    case NEW_AUDIO_SOURCE:
    case NEW_AUDIO_RESAMPLER:
    case NEW_SOX_RESAMPLER:
    case LOAD_AUDIO_FILTER_PLUGIN:
    case NEW_APM:
      return true;
    default:
      return false;
  }
}

bool request_memory_find(const uint8_t *request, size_t length, struct request_memory *found) {
  struct bytes rest = {request, request + length};
  struct field field;
  *found = (struct request_memory){0};
  while (rest.at < rest.end) {
    if (!read_field(&rest, &field)) return false;
    if (!field.content.at) continue;
    if (field.number == LOAD_AUDIO_FILTER_PLUGIN) found->loads_filter = true;
    if (names_no_handle(field.number)) found->begins = true;
    if (field.number == CAPTURE_VIDEO_FRAME || field.number == VIDEO_CONVERT) {
      if (!apply_to_picture(field.content, found)) return false;
    }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
      if (rules[i].request == field.number && !apply(&rules[i], field.content, found)) return false;
    }
  }
  return true;
}
