// Sums, extremes and products over some axes of a tensor.
//
// A layout is a list of ints: the rank, extents and strides of the axes that are kept, then those
// that are reduced, then the offset of the first element. Each result is summed in an order that
// depends on the sizes alone.
//
// Parameters:
//   REDUCTION   one of the functions below.

#include "common/group.cl"

#ifndef REDUCTION
#define REDUCTION sum
#endif

#define START_sum 0.0f
#define START_square_sum 0.0f
#define START_absolute_sum 0.0f
#define START_maximum (-INFINITY)
#define START_minimum INFINITY
#define START_product 1.0f
// One more element x, and one more partial result x.
#define MORE_sum (a + x)
#define MORE_square_sum fma(x, x, a)
#define MORE_absolute_sum (a + fabs(x))
#define MORE_maximum (((x <= a) | (a != a)) ? a : x)
#define MORE_minimum (((x >= a) | (a != a)) ? a : x)
#define MORE_product (a * x)
#define JOIN_sum (a + x)
#define JOIN_square_sum (a + x)
#define JOIN_absolute_sum (a + x)
#define JOIN_maximum MORE_maximum
#define JOIN_minimum MORE_minimum
#define JOIN_product (a * x)
#define PASTE_(kind, function) kind##_##function
#define PASTE(kind, function) PASTE_(kind, function)
#define START PASTE(START, REDUCTION)

INLINE REAL more(REAL a, REAL x) { return PASTE(MORE, REDUCTION); }
INLINE float joined(float a, float x) { return PASTE(JOIN, REDUCTION); }
INLINE float one_more(float a, float x) { return PASTE(MORE, REDUCTION); }

/// Where index `index` of a list of axes is; `axes` is their rank, extents and strides.
INLINE int offset_of(global const int *axes, int index) {
  const int rank = axes[0];
  int place = 0;
  for (int axis = rank - 1; axis >= 0; --axis) {
    const int extent = axes[1 + axis], next = index / extent;
    place += (index - next * extent) * axes[1 + rank + axis];
    index = next;
  }
  return place;
}

/// y[range kept + i] = scale times the reduction over the `range_count` elements r from range
/// range_count on of x[kept(i) + reduced(r)], where r runs along memory. Global size: LANES, kept,
/// the ranges.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
reduce_rows(global const float *x, global float *y, global const int *layout, int kept, int reduced,
            int range_count, float scale) {
  const int i = get_group_id(1), range = get_group_id(2), lane = get_local_id(0);
  global const int *axes = layout + 1 + 2 * layout[0];
  global const float *from = x + axes[1 + 2 * axes[0]] + offset_of(layout, i);
  const int extent = axes[axes[0]];
  const int first = range * range_count, end = min(first + range_count, reduced);
  float total = START;
  REAL totals = (REAL)(START);
  for (int index = first; index < end;) {
    const int run = min(end - index, extent - index % extent);
    global const float *row = from + offset_of(axes, index);
    int j = lane * WIDTH;
    for (; j + WIDTH <= run; j += LANES * WIDTH) totals = more(totals, load_lanes(row + j, WIDTH));
    for (; j < run; ++j) {
      if (WIDTH > 1 || j % LANES == lane) total = one_more(total, row[j]);
    }
    index += run;
  }
  float lanes[WIDTH];
  VSTORE(totals, 0, lanes);
  for (int j = 0; j < WIDTH; ++j) total = joined(total, lanes[j]);
#if LANES > 1
  local float parts[LANES];
  parts[lane] = total;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int half_lanes = LANES / 2; half_lanes > 0; half_lanes /= 2) {
    if (lane < half_lanes) parts[lane] = joined(parts[lane], parts[lane + half_lanes]);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  total = parts[0];
#endif
  if (lane == 0) y[(size_t)range * kept + i] = scale * total;
}

/// The same of elements that do not follow each other in memory; a work-item serves WIDTH results
/// that do where `along_kept` is 1, else one. Global size: items, the ranges.
kernel void reduce_columns(global const float *x, global float *y, global const int *layout,
                           int kept, int reduced, int range_count, int along_kept, float scale) {
  const int range = get_global_id(1), rank = layout[0];
  global const int *axes = layout + 1 + 2 * rank;
  global const float *from = x + axes[1 + 2 * axes[0]];
  const int first = range * range_count, end = min(first + range_count, reduced);
  y += (size_t)range * kept;
  if (along_kept) {
    // Items count vectors within the last kept axis.
    const int extent = layout[rank], vectors = (extent + WIDTH - 1) / WIDTH;
    const int item = get_global_id(0), row = item / vectors, j = item % vectors * WIDTH;
    const int i = row * extent + j, count = min(WIDTH, extent - j);
    from += offset_of(layout, i);
    REAL totals = (REAL)(START);
    for (int r = first; r < end; ++r) {
      totals = more(totals, load_lanes(from + offset_of(axes, r), count));
    }
    store_lanes(scale * totals, y + i, count);
    return;
  }
  const int i = get_global_id(0);
  from += offset_of(layout, i);
  float total = START;
  for (int r = first; r < end; ++r) total = one_more(total, from[offset_of(axes, r)]);
  y[i] = scale * total;
}
