// The OpenCL headers, held to the 1.2 core: what every vendor's device offers.
// Newer entry points are looked up at run time, behind a query.
#pragma once
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

/// Stores a number that another thread watches.
static inline void carousel_store(int *place, int value) {
  __atomic_store_n(place, value, __ATOMIC_RELEASE);
}
