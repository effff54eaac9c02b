// The dozen MPI functions by which Carousel's ranks talk, without MPI's headers.
//
// Nothing is linked: the library of the launcher that started the process, Open MPI's or one with
// MPICH's binary interface (MPICH, Intel MPI, MVAPICH, Cray MPICH), is loaded when the ranks begin.
// So one program runs under each of them.
//
// Calls come from one thread. Each returns 0, or an error of MPI that carousel_mpi_text puts into
// words.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Loads the library at `path` or of that name; what it needs itself is found as the dynamic linker
/// does.
///
/// Returns NULL, or why it cannot be used; the text is never released.
const char *carousel_mpi_load(const char *path);

/// Begins MPI: this process's rank, and how many there are.
int carousel_mpi_begin(int *rank, int *count);

/// What the library calls itself, on one line; never released.
const char *carousel_mpi_version(void);

/// Begins to send `send_counts[j]` bytes from `send + send_starts[j]` on to each rank j, and to
/// receive as many from each as it sends; `request` is for carousel_mpi_test. All arrays stay until
/// that is done.
int carousel_mpi_all_to_all(const void *send, const int *send_counts, const int *send_starts,
                            void *receive, const int *receive_counts, const int *receive_starts,
                            uintptr_t *request);

/// Begins to gather `counts[j]` bytes of each rank j at `receive + starts[j]`, on every rank.
int carousel_mpi_all_gather(const void *send, int count, void *receive, const int *counts,
                            const int *starts, uintptr_t *request);

/// Begins to send a notice of `count` bytes to a rank, which need not expect it.
int carousel_mpi_notify(const void *notice, int count, int rank, uintptr_t *request);

/// Receives a notice of exactly `count` bytes where one has come.
int carousel_mpi_hear(void *notice, int count, int *has_come);

/// Whether a request has completed.
int carousel_mpi_test(uintptr_t *request, int *is_done);

/// Ends MPI, when every rank calls it.
int carousel_mpi_end(void);

/// Ends every rank with an exit status.
void carousel_mpi_abort(int status);

/// Writes an error in words to `text`, which has room for 512 bytes.
void carousel_mpi_text(int error, char *text);
