// The calls of one binary interface of MPI; included once for each by CMPI.c.
//
//   NAME(x)          x with the interface's name in front
//   HANDLE           what a communicator, a datatype or a request is
//   CONSTANT(name)   a predefined handle by the name of its symbol

static struct {
  int (*Init_thread)(int *, char ***, int, int *);
  int (*Comm_rank)(HANDLE, int *);
  int (*Comm_size)(HANDLE, int *);
  int (*Comm_dup)(HANDLE, HANDLE *);
  int (*Comm_set_errhandler)(HANDLE, HANDLE);
  int (*Ialltoallv)(const void *, const int *, const int *, HANDLE, void *, const int *,
                    const int *, HANDLE, HANDLE, HANDLE *);
  int (*Iallgatherv)(const void *, int, HANDLE, void *, const int *, const int *, HANDLE, HANDLE,
                     HANDLE *);
  int (*Isend)(const void *, int, HANDLE, int, int, HANDLE, HANDLE *);
  int (*Recv)(void *, int, HANDLE, int, int, HANDLE, void *);
  int (*Iprobe)(int, int, HANDLE, int *, void *);
  int (*Test)(HANDLE *, int *, void *);
  int (*Error_string)(int, char *, int *);
  int (*Finalize)(void);
  int (*Abort)(HANDLE, int);
} NAME(calls);

static HANDLE NAME(data), NAME(notices), NAME(byte);

static const char *NAME(find)(void *library) {
#define FIND(name)                                                                                 \
  if (!(NAME(calls).name = (__typeof__(NAME(calls).name))dlsym(library, "MPI_" #name)))            \
  return "it has no MPI_" #name
  FIND(Init_thread);
  FIND(Comm_rank);
  FIND(Comm_size);
  FIND(Comm_dup);
  FIND(Comm_set_errhandler);
  FIND(Ialltoallv);
  FIND(Iallgatherv);
  FIND(Isend);
  FIND(Recv);
  FIND(Iprobe);
  FIND(Test);
  FIND(Error_string);
  FIND(Finalize);
  FIND(Abort);
#undef FIND
  return NULL;
}

static int NAME(begin)(int *rank, int *count) {
  int error, level;
  const HANDLE world = CONSTANT(comm_world);
  NAME(byte) = CONSTANT(byte);
  // The command's own thread alone calls MPI: funneled, 1 in both interfaces.
  if ((error = NAME(calls).Init_thread(NULL, NULL, 1, &level))) return error;
  // Notices travel apart from data, so that none is taken for the other.
  if ((error = NAME(calls).Comm_dup(world, &NAME(data)))) return error;
  if ((error = NAME(calls).Comm_dup(world, &NAME(notices)))) return error;
  if ((error = NAME(calls).Comm_set_errhandler(NAME(data), CONSTANT(errors_return)))) return error;
  if ((error = NAME(calls).Comm_set_errhandler(NAME(notices), CONSTANT(errors_return))))
    return error;
  if ((error = NAME(calls).Comm_rank(NAME(data), rank))) return error;
  return NAME(calls).Comm_size(NAME(data), count);
}

static int
NAME(all_to_all)(const void *send, const int *send_counts, const int *send_starts, void *receive,
                 const int *receive_counts, const int *receive_starts, uintptr_t *request) {
  HANDLE handle;
  const int error =
      NAME(calls).Ialltoallv(send, send_counts, send_starts, NAME(byte), receive, receive_counts,
                             receive_starts, NAME(byte), NAME(data), &handle);
  *request = (uintptr_t)handle;
  return error;
}

static int NAME(all_gather)(const void *send, int count, void *receive, const int *counts,
                            const int *starts, uintptr_t *request) {
  HANDLE handle;
  const int error = NAME(calls).Iallgatherv(send, count, NAME(byte), receive, counts, starts,
                                            NAME(byte), NAME(data), &handle);
  *request = (uintptr_t)handle;
  return error;
}

static int NAME(notify)(const void *notice, int count, int rank, uintptr_t *request) {
  HANDLE handle;
  const int error =
      NAME(calls).Isend(notice, count, NAME(byte), rank, NOTICE, NAME(notices), &handle);
  *request = (uintptr_t)handle;
  return error;
}

static int NAME(hear)(void *notice, int count, int *has_come) {
  const int error = NAME(calls).Iprobe(ANY_SOURCE, NOTICE, NAME(notices), has_come, STATUS_IGNORE);
  if (error || !*has_come) return error;
  return NAME(calls).Recv(notice, count, NAME(byte), ANY_SOURCE, NOTICE, NAME(notices),
                          STATUS_IGNORE);
}

static int NAME(test)(uintptr_t *request, int *is_done) {
  HANDLE handle = (HANDLE)*request;
  const int error = NAME(calls).Test(&handle, is_done, STATUS_IGNORE);
  *request = (uintptr_t)handle;
  return error;
}

static void NAME(abort)(int status) { NAME(calls).Abort(CONSTANT(comm_world), status); }
