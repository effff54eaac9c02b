// Preloaded before the OpenCL library: lets one call of an OpenCL function fail, or all from one
// on.
//
// FAILING_CALL=clFinish:3 fails the third call of clFinish, clFinish:3+ every one from there on;
// the failing call does nothing but return CL_OUT_OF_HOST_MEMORY. FAILING_CALLS_LOG names a file
// that gets a line "NAME COUNT" for each function that was called, when the process ends.
#define _GNU_SOURCE
#include "../Sources/COpenCL/functions.h"
#include "../Sources/COpenCL/include/COpenCL.h"
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(result, name, parameters, arguments) atomic_int name;
static struct { OPENCL_FUNCTIONS(COUNT, COUNT) } counts;

/// Counts a call; whether it is one that fails.
static bool fails(const char *name, atomic_int *count) {
  const int call = atomic_fetch_add(count, 1) + 1;
  const char *wanted = getenv("FAILING_CALL");
  const size_t length = strlen(name);
  if (!wanted || strncmp(wanted, name, length) || wanted[length] != ':') return false;
  char *end;
  const long first = strtol(wanted + length + 1, &end, 10);
  return *end == '+' ? call >= first : call == first;
}

#define NEXT(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

#define CALL(result, name, parameters, arguments)                                                  \
  result name parameters {                                                                         \
    if (fails(#name, &counts.name)) return CL_OUT_OF_HOST_MEMORY;                                  \
    return NEXT(name) arguments;                                                                   \
  }
#define MAKE(result, name, parameters, arguments)                                                  \
  result name parameters {                                                                         \
    if (fails(#name, &counts.name)) {                                                              \
      if (status) *status = CL_OUT_OF_HOST_MEMORY;                                                 \
      return NULL;                                                                                 \
    }                                                                                              \
    return NEXT(name) arguments;                                                                   \
  }
OPENCL_FUNCTIONS(CALL, MAKE)

__attribute__((destructor)) static void log_counts(void) {
  const char *path = getenv("FAILING_CALLS_LOG");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file) return;
#define LOG(result, name, parameters, arguments)                                                   \
  if (counts.name) fprintf(file, "%s %d\n", #name, counts.name);
  OPENCL_FUNCTIONS(LOG, LOG)
  fclose(file);
}
