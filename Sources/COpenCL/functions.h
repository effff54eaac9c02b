// The OpenCL functions that Carousel uses: what each returns, its name, parameters and arguments. A
// CALL returns a status; a MAKE returns a handle and stores a status.
#pragma once

// clang-format off
#define OPENCL_FUNCTIONS(CALL, MAKE) \
  CALL(cl_int, clGetPlatformIDs, (cl_uint count, cl_platform_id *ids, cl_uint *count_ret), \
    (count, ids, count_ret)) \
  CALL(cl_int, clGetPlatformInfo, \
    (cl_platform_id platform, cl_platform_info name, size_t size, void *value, size_t *size_ret), \
    (platform, name, size, value, size_ret)) \
  CALL(cl_int, clGetDeviceIDs, \
    (cl_platform_id platform, cl_device_type type, cl_uint count, cl_device_id *ids, cl_uint *count_ret), \
    (platform, type, count, ids, count_ret)) \
  CALL(cl_int, clGetDeviceInfo, \
    (cl_device_id device, cl_device_info name, size_t size, void *value, size_t *size_ret), \
    (device, name, size, value, size_ret)) \
  MAKE(cl_context, clCreateContext, \
    (const cl_context_properties *properties, cl_uint count, const cl_device_id *devices, \
     void (*notify)(const char *, const void *, size_t, void *), void *data, cl_int *status), \
    (properties, count, devices, notify, data, status)) \
  CALL(cl_int, clReleaseContext, (cl_context context), (context)) \
  MAKE(cl_command_queue, clCreateCommandQueue, \
    (cl_context context, cl_device_id device, cl_command_queue_properties properties, cl_int *status), \
    (context, device, properties, status)) \
  CALL(cl_int, clReleaseCommandQueue, (cl_command_queue queue), (queue)) \
  CALL(cl_int, clFlush, (cl_command_queue queue), (queue)) \
  CALL(cl_int, clFinish, (cl_command_queue queue), (queue)) \
  MAKE(cl_mem, clCreateBuffer, \
    (cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *status), \
    (context, flags, size, host, status)) \
  MAKE(cl_mem, clCreateSubBuffer, \
    (cl_mem memory, cl_mem_flags flags, cl_buffer_create_type type, const void *info, cl_int *status), \
    (memory, flags, type, info, status)) \
  CALL(cl_int, clReleaseMemObject, (cl_mem memory), (memory)) \
  CALL(cl_int, clGetMemObjectInfo, \
    (cl_mem memory, cl_mem_info name, size_t size, void *value, size_t *size_ret), \
    (memory, name, size, value, size_ret)) \
  CALL(cl_int, clSetMemObjectDestructorCallback, \
    (cl_mem memory, void (*notify)(cl_mem, void *), void *data), (memory, notify, data)) \
  MAKE(cl_program, clCreateProgramWithSource, \
    (cl_context context, cl_uint count, const char **texts, const size_t *sizes, cl_int *status), \
    (context, count, texts, sizes, status)) \
  MAKE(cl_program, clCreateProgramWithBinary, \
    (cl_context context, cl_uint count, const cl_device_id *devices, const size_t *sizes, \
     const unsigned char **binaries, cl_int *statuses, cl_int *status), \
    (context, count, devices, sizes, binaries, statuses, status)) \
  CALL(cl_int, clBuildProgram, \
    (cl_program program, cl_uint count, const cl_device_id *devices, const char *options, \
     void (*notify)(cl_program, void *), void *data), \
    (program, count, devices, options, notify, data)) \
  CALL(cl_int, clGetProgramInfo, \
    (cl_program program, cl_program_info name, size_t size, void *value, size_t *size_ret), \
    (program, name, size, value, size_ret)) \
  CALL(cl_int, clGetProgramBuildInfo, \
    (cl_program program, cl_device_id device, cl_program_build_info name, size_t size, void *value, \
     size_t *size_ret), \
    (program, device, name, size, value, size_ret)) \
  CALL(cl_int, clReleaseProgram, (cl_program program), (program)) \
  MAKE(cl_kernel, clCreateKernel, (cl_program program, const char *name, cl_int *status), \
    (program, name, status)) \
  CALL(cl_int, clReleaseKernel, (cl_kernel kernel), (kernel)) \
  CALL(cl_int, clSetKernelArg, (cl_kernel kernel, cl_uint index, size_t size, const void *value), \
    (kernel, index, size, value)) \
  CALL(cl_int, clGetKernelInfo, \
    (cl_kernel kernel, cl_kernel_info name, size_t size, void *value, size_t *size_ret), \
    (kernel, name, size, value, size_ret)) \
  CALL(cl_int, clGetKernelArgInfo, \
    (cl_kernel kernel, cl_uint index, cl_kernel_arg_info name, size_t size, void *value, \
     size_t *size_ret), \
    (kernel, index, name, size, value, size_ret)) \
  CALL(cl_int, clGetKernelWorkGroupInfo, \
    (cl_kernel kernel, cl_device_id device, cl_kernel_work_group_info name, size_t size, void *value, \
     size_t *size_ret), \
    (kernel, device, name, size, value, size_ret)) \
  CALL(cl_int, clEnqueueNDRangeKernel, \
    (cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset, \
     const size_t *global, const size_t *local, cl_uint count, const cl_event *wait, cl_event *event), \
    (queue, kernel, dimensions, offset, global, local, count, wait, event)) \
  CALL(cl_int, clEnqueueReadBuffer, \
    (cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset, size_t size, void *bytes, \
     cl_uint count, const cl_event *wait, cl_event *event), \
    (queue, memory, blocking, offset, size, bytes, count, wait, event)) \
  CALL(cl_int, clEnqueueWriteBuffer, \
    (cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset, size_t size, \
     const void *bytes, cl_uint count, const cl_event *wait, cl_event *event), \
    (queue, memory, blocking, offset, size, bytes, count, wait, event)) \
  CALL(cl_int, clEnqueueFillBuffer, \
    (cl_command_queue queue, cl_mem memory, const void *pattern, size_t pattern_size, size_t offset, \
     size_t size, cl_uint count, const cl_event *wait, cl_event *event), \
    (queue, memory, pattern, pattern_size, offset, size, count, wait, event)) \
  CALL(cl_int, clEnqueueCopyBuffer, \
    (cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset, size_t size, \
     cl_uint count, const cl_event *wait, cl_event *event), \
    (queue, from, to, from_offset, to_offset, size, count, wait, event)) \
  CALL(cl_int, clWaitForEvents, (cl_uint count, const cl_event *events), (count, events)) \
  CALL(cl_int, clGetEventProfilingInfo, \
    (cl_event event, cl_profiling_info name, size_t size, void *value, size_t *size_ret), \
    (event, name, size, value, size_ret)) \
  CALL(cl_int, clReleaseEvent, (cl_event event), (event))
// clang-format on
