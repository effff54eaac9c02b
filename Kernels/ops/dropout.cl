// Dropout, and masks by themselves, from the counter-based generator.
//
// Parameters:
//   ELEMENTS   elements of one work-item, a multiple of 4.

#include "common/philox.cl"
#include "common/vector.cl"

#ifndef ELEMENTS
#define ELEMENTS 4
#endif

/// The upper 24 bits of the words of elements i to i + 3 of a stream, i being a multiple of 4; with
/// a `width` of elements offset + i / width * stride + i % width and so on: those of a part of a
/// batch.
inline uint4 draws(ulong seed, ulong stream, ulong i, ulong width, ulong stride, ulong offset) {
  if (!width) return philox_block(seed, stream, i / 4) >> 8;
  const ulong element = offset + i / width * stride + i % width;
  // Four in a row of a block.
  if (!((width | stride | offset) & 3)) return philox_block(seed, stream, element / 4) >> 8;
  uint words[4];
  for (int lane = 0; lane < 4; ++lane) {
    const ulong place = offset + (i + lane) / width * stride + (i + lane) % width;
    const uint4 block = philox_block(seed, stream, place / 4);
    const uint lanes[4] = {block.x, block.y, block.z, block.w};
    words[lane] = lanes[place % 4];
  }
  return (uint4)(words[0], words[1], words[2], words[3]) >> 8;
}

/// y[i] = x[i] scale where the upper 24 bits of word i of the stream (see `draws`) are at least
/// `threshold`, the drop probability times 2^24 rounded up, else 0. `y` may be `x`. Global size:
/// at least ceil(count / ELEMENTS).
kernel void dropout(global const float *x, global float *y, int count, uint threshold, float scale,
                    ulong seed, ulong stream, ulong width, ulong stride, ulong offset) {
  const int first = get_global_id(0) * ELEMENTS, end = min(first + ELEMENTS, count);
  for (int i = first; i < end; i += 4) {
    const uint4 words = draws(seed, stream, (ulong)i, width, stride, offset);
    const uint lanes[4] = {words.x, words.y, words.z, words.w};
    for (int lane = 0; lane < 4 && i + lane < end; ++lane) {
      y[i + lane] = lanes[lane] >= threshold ? x[i + lane] * scale : 0.0f;
    }
  }
}

/// mask[i] = `below` where the upper 24 bits of word i are less than `threshold`, else `above`.
/// Global size: at least ceil(count / ELEMENTS).
kernel void draw_mask(global float *mask, int count, uint threshold, float below, float above,
                      ulong seed, ulong stream, ulong width, ulong stride, ulong offset) {
  const int first = get_global_id(0) * ELEMENTS, end = min(first + ELEMENTS, count);
  for (int i = first; i < end; i += 4) {
    const uint4 words = draws(seed, stream, (ulong)i, width, stride, offset);
    const uint lanes[4] = {words.x, words.y, words.z, words.w};
    for (int lane = 0; lane < 4 && i + lane < end; ++lane) {
      mask[i + lane] = lanes[lane] < threshold ? below : above;
    }
  }
}
