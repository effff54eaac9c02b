// Dropout, and masks by themselves, from the counter-based generator.
//
// Parameters:
//   ELEMENTS   elements of one work-item, a multiple of 4.

#include "common/philox.cl"
#include "common/vector.cl"

#ifndef ELEMENTS
#define ELEMENTS 4
#endif

/// y[i] = x[i] scale where the upper 24 bits of word i of the stream are at least `threshold`, the
/// drop probability times 2^24 rounded up, else 0. `y` may be `x`. Global size: ceil(count /
/// ELEMENTS).
kernel void dropout(global const float *x, global float *y, int count, uint threshold, float scale,
                    ulong seed, ulong stream) {
  const int first = get_global_id(0) * ELEMENTS, end = min(first + ELEMENTS, count);
  for (int i = first; i < end; i += 4) {
    const uint4 words = philox_block(seed, stream, (ulong)(i / 4)) >> 8;
    const uint lanes[4] = {words.x, words.y, words.z, words.w};
    for (int lane = 0; lane < 4 && i + lane < end; ++lane) {
      y[i + lane] = lanes[lane] >= threshold ? x[i + lane] * scale : 0.0f;
    }
  }
}

/// mask[i] = `below` where the upper 24 bits of word i are less than `threshold`, else `above`.
/// Global size: ceil(count / ELEMENTS).
kernel void draw_mask(global float *mask, int count, uint threshold, float below, float above,
                      ulong seed, ulong stream) {
  const int first = get_global_id(0) * ELEMENTS, end = min(first + ELEMENTS, count);
  for (int i = first; i < end; i += 4) {
    const uint4 words = philox_block(seed, stream, (ulong)(i / 4)) >> 8;
    const uint lanes[4] = {words.x, words.y, words.z, words.w};
    for (int lane = 0; lane < 4 && i + lane < end; ++lane) {
      mask[i + lane] = lanes[lane] < threshold ? below : above;
    }
  }
}
