// Preloaded before Oclgrind 21.10: lets kernels do the host's writes, fills and copies.
//
// Oclgrind's --uninitialized follows what kernels write, but learns of a host's write only where it
// begins at the first byte of a memory object, and never of a fill; it would report each later use
// of what they initialized. A kernel in their place hides nothing: a copy of uninitialized memory
// is still uninitialized.
#define _GNU_SOURCE
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIN(a, b) ((a) < (b) ? (a) : (b))

static const char *source =
    "kernel void move(global const uchar *from, ulong from_offset, ulong period, global uchar *to,"
    "                 ulong to_offset) {"
    "  const size_t i = get_global_id(0);"
    "  to[to_offset + i] = from[from_offset + i % period];"
    "}";

static void check(cl_int status, const char *what) {
  if (status == CL_SUCCESS) return;
  fprintf(stderr, "oclgrind-initialized: %s failed with %d\n", what, status);
  abort();
}

static cl_context context_of(cl_command_queue queue) {
  cl_context context;
  check(clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof context, &context, NULL), "a query");
  return context;
}

static cl_kernel move_kernel(cl_command_queue queue) {
  static cl_context known;
  static cl_kernel kernel;
  cl_context context = context_of(queue);
  if (context != known) {
    cl_int status;
    cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, &status);
    check(status, "clCreateProgramWithSource");
    check(clBuildProgram(program, 0, NULL, "", NULL, NULL), "clBuildProgram");
    kernel = clCreateKernel(program, "move", &status);
    check(status, "clCreateKernel");
    known = context;
  }
  return kernel;
}

/// Sets `count` bytes of `to` to those of `from`, again from the start after `period` bytes.
static cl_int
move(cl_command_queue queue, cl_mem from, cl_ulong from_offset, cl_ulong period, cl_mem to,
     cl_ulong to_offset, size_t count, cl_uint wait_count, const cl_event *wait, cl_event *event) {
  cl_kernel kernel = move_kernel(queue);
  check(clSetKernelArg(kernel, 0, sizeof from, &from), "clSetKernelArg");
  check(clSetKernelArg(kernel, 1, sizeof from_offset, &from_offset), "clSetKernelArg");
  check(clSetKernelArg(kernel, 2, sizeof period, &period), "clSetKernelArg");
  check(clSetKernelArg(kernel, 3, sizeof to, &to), "clSetKernelArg");
  check(clSetKernelArg(kernel, 4, sizeof to_offset, &to_offset), "clSetKernelArg");
  return clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &count, NULL, wait_count, wait, event);
}

/// The same from `period` bytes of the host, by way of one buffer that is always written whole.
static cl_int move_from_host(cl_command_queue queue, const void *bytes, size_t period, cl_mem to,
                             size_t to_offset, size_t count, cl_uint wait_count,
                             const cl_event *wait, cl_event *event) {
  static unsigned char staged[1 << 16];
  static cl_context known;
  static cl_mem staging;
  __typeof__(clEnqueueWriteBuffer) *write = dlsym(RTLD_NEXT, "clEnqueueWriteBuffer");
  cl_int status;
  if (context_of(queue) != known) {
    known = context_of(queue);
    staging = clCreateBuffer(known, CL_MEM_READ_ONLY, sizeof staged, NULL, &status);
    check(status, "clCreateBuffer");
  }
  for (size_t done = 0; done < count;) {
    const size_t part = period == count ? MIN(sizeof staged, count - done) : count;
    const int is_last = done + part == count;
    memcpy(staged, (const char *)bytes + done, MIN(part, period));
    check(write(queue, staging, CL_TRUE, 0, sizeof staged, staged, 0, NULL, NULL), "a write");
    status = move(queue, staging, 0, MIN(part, period), to, to_offset + done, part, wait_count,
                  wait, is_last ? event : NULL);
    if (status != CL_SUCCESS) return status;
    done += part;
  }
  return clFinish(queue);
}

cl_int clEnqueueFillBuffer(cl_command_queue queue, cl_mem memory, const void *pattern,
                           size_t pattern_size, size_t offset, size_t count, cl_uint wait_count,
                           const cl_event *wait, cl_event *event) {
  return move_from_host(queue, pattern, pattern_size, memory, offset, count, wait_count, wait,
                        event);
}

cl_int clEnqueueWriteBuffer(cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset,
                            size_t count, const void *bytes, cl_uint wait_count,
                            const cl_event *wait, cl_event *event) {
  (void)blocking; // The bytes are copied before this returns, in either case.
  return move_from_host(queue, bytes, count, memory, offset, count, wait_count, wait, event);
}

cl_int clEnqueueCopyBuffer(cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset,
                           size_t to_offset, size_t count, cl_uint wait_count, const cl_event *wait,
                           cl_event *event) {
  return move(queue, from, from_offset, count, to, to_offset, count, wait_count, wait, event);
}
