// The OpenCL headers, held to the 1.2 core: what every vendor's device offers.
// Newer entry points are looked up at run time, behind a query.
//
// Nothing is linked: the functions that Carousel uses are defined in COpenCL.c, and forward to the
// OpenCL library once that is loaded.
#pragma once
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

/// Loads the OpenCL library at the first call.
///
/// Returns NULL, or why it cannot be used; the text is never released. Until it returned NULL, no
/// OpenCL function may be called.
const char *carousel_load_opencl(void);

/// Stores a number that another thread watches.
static inline void carousel_store(int *place, int value) {
  __atomic_store_n(place, value, __ATOMIC_RELEASE);
}
