// How work-groups that run at the same time wait for each other within a launch.
//
// OpenCL promises neither that all groups of a launch run at the same time nor that one sees what
// another wrote. So waiting ends: a group that has waited too long gives up, all groups stop after
// the step they are in, and the next launch does the rest. And the host uses this only where groups
// do see what others wrote: on CPUs, whose caches are coherent, and on NVIDIA's GPUs, with fences
// of PTX.
//
// `sync` holds, LINE ints apart: whether a group gave up; how often that happened since the buffer
// was made; and for each team of groups that wait for each other the number of steps that its
// groups have finished together. Behind the teams follow the steps that each group has done.

#include "common/vector.cl"

#define LINE 16
#define GAVE_UP(sync) ((sync)[0])
#define TIMES(sync) ((sync)[LINE])
#define TEAM(sync, team) ((sync) + (2 + (team)) * LINE)
#define PROGRESS(sync, teams) ((sync) + (2 + (teams)) * LINE)

/// Others see what this work-item wrote or saw before, and it sees what they did.
INLINE void device_fence(void) {
#ifdef __NV_CL_C_VERSION
  asm volatile("fence.acq_rel.gpu;" ::: "memory");
#else
  mem_fence(CLK_GLOBAL_MEM_FENCE);
#endif
}

/// Counts a finished step of a team of `size` groups. All work-items of the group take part; what
/// they wrote before is seen by whoever waits for the count.
INLINE void tell_team(volatile global int *count, int size) {
  barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
  if (get_local_id(0) == 0 && size > 1) {
    device_fence();
    atomic_inc(count);
  }
}

INLINE int read_count(volatile global int *count) {
#ifdef __NV_CL_C_VERSION
  int value;
  asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(value) : "l"(count) : "memory");
  return value;
#else
  return atomic_or(count, 0);
#endif
}

/// Waits until all groups of a team of `size` have done `steps` steps, at most `polls` looks.
/// Whether they have: 0 says that someone gave up. `given_up`, of the group, begins as 0. All
/// work-items of the group take part.
INLINE int wait_for_team(volatile global int *sync, volatile global int *count, int size, int steps,
                         int polls, volatile local int *given_up) {
  if (get_local_id(0) == 0 && size > 1 && steps > 0) {
    for (int poll = 1; read_count(count) < size * steps; ++poll) {
      if (poll > polls) atomic_xchg(&GAVE_UP(sync), 1);
      if ((poll > polls || poll % 256 == 0) && read_count(&GAVE_UP(sync))) {
        *given_up = 1;
        break;
      }
    }
#ifndef __NV_CL_C_VERSION
    device_fence();
#endif
  }
  barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
  return !*given_up;
}

/// The first group from `group` on that has not done step `step`, or `count`.
INLINE int next_left(volatile global int *progress, int group, int count, int step) {
  while (group < count && progress[group] > step) ++group;
  return group;
}

/// Leaves `sync` as the next launch has to find it. One group, all its work-items.
INLINE void forget_launch(volatile global int *sync, int tiles, int teams, int given_up) {
  volatile global int *progress = PROGRESS(sync, teams);
  barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
  for (int i = get_local_id(0); i < tiles * teams; i += get_local_size(0)) progress[i] = 0;
  for (int i = get_local_id(0); i < teams; i += get_local_size(0)) *TEAM(sync, i) = 0;
  if (get_local_id(0) == 0 && given_up) {
    GAVE_UP(sync) = 0;
    TIMES(sync) += 1;
  }
}
