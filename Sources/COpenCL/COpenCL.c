// The OpenCL functions that Carousel uses, each forwarding to the one of the same name in the
// OpenCL library, which is loaded when it is first needed: a program that only prints its help, or
// computes on the reference, runs where there is none.
//
// The definitions are hidden: what is looked up by name at run time is never one of them.
#define _GNU_SOURCE
#include "COpenCL.h"
#include "functions.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#define POINTER(result, name, parameters, arguments) __typeof__(name) *name;
static struct { OPENCL_FUNCTIONS(POINTER, POINTER) } library;

static char failure[512];

/// Finds a function as a linked program would: in what was preloaded before the library.
static void *find(const char *name) {
  void *function = dlsym(RTLD_DEFAULT, name);
  if (!function && !*failure) snprintf(failure, sizeof failure, "it has no %s", name);
  return function;
}

static void load(void) {
  if (!dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_GLOBAL)) {
    const char *reason = dlerror();
    snprintf(failure, sizeof failure, "%s", reason ? reason : "it cannot be loaded");
    // A preloaded tool may offer the functions instead.
    if (!dlsym(RTLD_DEFAULT, "clGetPlatformIDs")) return;
    *failure = 0;
  }
#define FIND(result, name, parameters, arguments) library.name = (__typeof__(name) *)find(#name);
  OPENCL_FUNCTIONS(FIND, FIND)
}

const char *carousel_load_opencl(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return *failure ? failure : NULL;
}

#define FORWARD(result, name, parameters, arguments)                                               \
  __attribute__((visibility("hidden"))) result name parameters { return library.name arguments; }
OPENCL_FUNCTIONS(FORWARD, FORWARD)
