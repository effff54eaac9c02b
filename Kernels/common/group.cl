// A work-group of LANES work-items that share one row of numbers.
//
// Work-item `lane` visits the elements lane WIDTH, (lane + LANES) WIDTH, …: neighbours load
// neighbours on a GPU, and on a CPU device (LANES 1) one work-item loops over the row in vectors.
//
// Parameters:
//   LANES   work-items of a group: 1 on CPU devices, a power of 2 on GPUs.

#include "common/vector.cl"

#ifndef LANES
#define LANES 1
#endif

/// The work-item of the group. LANE, GROUP_SCRATCH, GROUP_SUM and GROUP_MAX ask for nothing where
/// there is one.
#if LANES == 1
#define LANE 0
#define GROUP_SCRATCH(name)
#define GROUP_SUM(value, scratch) (value)
#define GROUP_MAX(value, scratch) (value)
#else
#define LANE ((int)get_local_id(0))
#define GROUP_SCRATCH(name) local float name[LANES]
#define GROUP_SUM(value, scratch) group_reduce(value, 0, scratch)
#define GROUP_MAX(value, scratch) group_reduce(value, 1, scratch)

/// The sum, or the maximum, of one value from each work-item of the group, as a tree of fixed
/// shape.
inline float group_reduce(float value, int maximum, local float *scratch) {
  const int lane = LANE;
  scratch[lane] = value;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int half_lanes = LANES / 2; half_lanes > 0; half_lanes /= 2) {
    if (lane < half_lanes) {
      const float a = scratch[lane], b = scratch[lane + half_lanes];
      scratch[lane] = maximum ? fmax(a, b) : a + b;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  const float result = scratch[0];
  barrier(CLK_LOCAL_MEM_FENCE);
  return result;
}
#endif
