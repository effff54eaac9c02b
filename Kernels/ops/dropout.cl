// Dropout, and masks by themselves, from the counter-based generator.
//
// Parameters:
//   WIDTH      see vector.cl.
//   ELEMENTS   elements of one work-item, a multiple of 4 WIDTH.

#include "common/philox.cl"

#ifndef ELEMENTS
#define ELEMENTS (4 * WIDTH)
#endif

/// The elements whose words are drawn at once: a block of four for each lane.
#define DRAWN (4 * WIDTH)

/// The place in its stream of element i of a window, whose rows of `width` elements lie `stride`
/// apart from `offset` on; a `width` of 0 is the whole stream.
inline ulong place_of(ulong i, ulong width, ulong stride, ulong offset) {
  return width ? offset + i / width * stride + i % width : i;
}

/// The upper 24 bits of the words of elements i to i + DRAWN - 1 of a window of a stream, i being a
/// multiple of DRAWN.
OUTLINE void
draw(uint *drawn, ulong seed, ulong stream, ulong i, ulong width, ulong stride, ulong offset) {
  const bool in_fours = !((width | stride | offset) & 3);
  // The elements of a block of four follow each other; else each has a block of its own.
  const int step = in_fours ? 4 : 1;
  for (int first = 0; first < DRAWN; first += step * WIDTH) {
    ulong blocks[WIDTH];
    uint lanes[4][WIDTH];
    WORD words[4];
    for (int lane = 0; lane < WIDTH; ++lane) {
      blocks[lane] = place_of(i + first + lane * step, width, stride, offset) / 4;
    }
    philox_blocks(seed, stream, VLOAD(0, blocks), words);
    for (int word = 0; word < 4; ++word) VSTORE(words[word] >> 8, 0, lanes[word]);
    for (int lane = 0; lane < WIDTH; ++lane) {
      if (in_fours) {
        for (int word = 0; word < 4; ++word) drawn[4 * lane + word] = lanes[word][lane];
      } else {
        const ulong place = place_of(i + first + lane, width, stride, offset);
        drawn[first + lane] = lanes[place % 4][lane];
      }
    }
  }
}

/// y[i] = x[i] scale where the upper 24 bits of word i of the stream (see `draws`) are at least
/// `threshold`, the drop probability times 2^24 rounded up, else 0. `y` may be `x`. Global size:
/// at least ceil(count / ELEMENTS).
kernel void dropout(global const float *x, global float *y, int count, uint threshold, float scale,
                    ulong seed, ulong stream, ulong width, ulong stride, ulong offset) {
  const int first = get_global_id(0) * ELEMENTS, end = min(first + ELEMENTS, count);
  for (int i = first; i < end; i += DRAWN) {
    uint drawn[DRAWN];
    draw(drawn, seed, stream, (ulong)i, width, stride, offset);
    for (int lane = 0; lane < DRAWN && i + lane < end; ++lane) {
      y[i + lane] = drawn[lane] >= threshold ? x[i + lane] * scale : 0.0f;
    }
  }
}

/// mask[i] = `below` where the upper 24 bits of word i are less than `threshold`, else `above`.
/// Global size: at least ceil(count / ELEMENTS).
kernel void draw_mask(global float *mask, int count, uint threshold, float below, float above,
                      ulong seed, ulong stream, ulong width, ulong stride, ulong offset) {
  const int first = get_global_id(0) * ELEMENTS, end = min(first + ELEMENTS, count);
  for (int i = first; i < end; i += DRAWN) {
    uint drawn[DRAWN];
    draw(drawn, seed, stream, (ulong)i, width, stride, offset);
    for (int lane = 0; lane < DRAWN && i + lane < end; ++lane) {
      mask[i + lane] = drawn[lane] < threshold ? below : above;
    }
  }
}
