// Two binary interfaces of MPI behind one: handles are pointers in Open MPI and numbers in MPICH.
#define _GNU_SOURCE
#include "CMPI.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { NOTICE = 1 };
static void *library;

// Open MPI, the same from 1.7 to 5: predefined handles are addresses of its variables.
typedef void *openmpi_handle;
#define NAME(x) openmpi_##x
#define HANDLE openmpi_handle
#define CONSTANT(name) dlsym(library, "ompi_mpi_" #name)
#define ANY_SOURCE (-1)
#define STATUS_IGNORE NULL
#include "calls.h"
#undef NAME
#undef HANDLE
#undef CONSTANT
#undef ANY_SOURCE
#undef STATUS_IGNORE

// MPICH and what keeps to its binary interface: https://www.mpich.org/abi/
#define NAME(x) mpich_##x
#define HANDLE int
#define CONSTANT(name) mpich_constant_##name
#define ANY_SOURCE (-2)
#define STATUS_IGNORE ((void *)1)
enum {
  mpich_constant_comm_world = 0x44000000,
  mpich_constant_byte = 0x4c00010d,
  mpich_constant_errors_return = 0x54000001,
};
#include "calls.h"

static int is_openmpi;
#define CALL(function) (is_openmpi ? openmpi_##function : mpich_##function)

const char *carousel_mpi_load(const char *path) {
  static char failure[512];
  // Its plug-ins look for its own symbols.
  library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    const char *reason = dlerror();
    snprintf(failure, sizeof failure, "%s", reason ? reason : "it cannot be loaded");
    return failure;
  }
  is_openmpi = dlsym(library, "ompi_mpi_comm_world") != NULL;
  return CALL(find)(library);
}

const char *carousel_mpi_version(void) {
  // More than either library's MPI_MAX_LIBRARY_VERSION_STRING.
  static char text[16384];
  int length = 0;
  int (*version)(char *, int *) = (int (*)(char *, int *))dlsym(library, "MPI_Get_library_version");
  if (!version || version(text, &length)) return is_openmpi ? "Open MPI" : "MPICH";
  text[strcspn(text, "\n,")] = 0;
  return text;
}

int carousel_mpi_begin(int *rank, int *count) { return CALL(begin)(rank, count); }

int carousel_mpi_all_to_all(const void *send, const int *send_counts, const int *send_starts,
                            void *receive, const int *receive_counts, const int *receive_starts,
                            uintptr_t *request) {
  return CALL(all_to_all)(send, send_counts, send_starts, receive, receive_counts, receive_starts,
                          request);
}

int carousel_mpi_all_gather(const void *send, int count, void *receive, const int *counts,
                            const int *starts, uintptr_t *request) {
  return CALL(all_gather)(send, count, receive, counts, starts, request);
}

int carousel_mpi_notify(const void *notice, int count, int rank, uintptr_t *request) {
  return CALL(notify)(notice, count, rank, request);
}

int carousel_mpi_hear(void *notice, int count, int *has_come) {
  return CALL(hear)(notice, count, has_come);
}

int carousel_mpi_test(uintptr_t *request, int *is_done) { return CALL(test)(request, is_done); }

int carousel_mpi_end(void) {
  return is_openmpi ? openmpi_calls.Finalize() : mpich_calls.Finalize();
}

void carousel_mpi_abort(int status) { CALL(abort)(status); }

void carousel_mpi_text(int error, char *text) {
  // At least MPI_MAX_ERROR_STRING of either library.
  char words[2048] = "";
  int length = 0;
  (is_openmpi ? openmpi_calls.Error_string : mpich_calls.Error_string)(error, words, &length);
  words[strcspn(words, "\n")] = 0;
  snprintf(text, 512, "%s", words);
}
