// Where the elements of strided views are, and how vectors of them are read.
//
// A layout is a list of ints: the rank, the extents, then for each operand its offset and strides.
// An operand's index (i, j, ...) is at offset + i stride0 + j stride1 + ...; the first operand is
// the result. Elements are counted row-major. Work-item g serves the elements from g ITEM on, in
// runs along the last axis.

#include "common/vector.cl"

#ifndef ITEM
#define ITEM 4096
#endif

/// Where element `index` of operand `operand` is.
INLINE int place_of(global const int *layout, int operand, int index) {
  const int rank = layout[0];
  global const int *strides = layout + 1 + rank + operand * (rank + 1);
  int place = strides[0];
  for (int axis = rank - 1; axis >= 0; --axis) {
    const int extent = layout[1 + axis], next = index / extent;
    place += (index - next * extent) * strides[1 + axis];
    index = next;
  }
  return place;
}

/// The stride of an operand along an axis.
INLINE int stride_of(global const int *layout, int operand, int axis) {
  const int rank = layout[0];
  return layout[1 + rank + operand * (rank + 1) + 1 + axis];
}

/// The stride of an operand along the last axis.
INLINE int last_stride(global const int *layout, int operand) {
  return stride_of(layout, operand, layout[0] - 1);
}

/// `count` numbers from `source` on, `stride` apart; any in the other lanes.
INLINE REAL load_strided(global const float *source, int stride, int count) {
  if (stride == 1) return load_lanes(source, count);
  if (stride == 0) return (REAL)(source[0]);
  float lanes[WIDTH];
  for (int i = 0; i < WIDTH; ++i) lanes[i] = i < count ? source[i * stride] : 0.0f;
  return VLOAD(0, lanes);
}
