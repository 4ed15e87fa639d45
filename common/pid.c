/*
 * getpid() without a system call.
 *
 * libzmq asks for the process id each time it looks whether another thread has something to say (it
 * wants to notice a fork), 14 to 18 times a mail in a front or a worker, and glibc has not
 * remembered it since 2.25. The id is kept in a page that the kernel gives to a forked child as
 * zeroes, whatever the call that forked; a child that shares our memory (vfork, posix_spawn) only
 * execs.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic(_Atomic(pid_t) *) kept;
static atomic_bool refused; /* a kernel without MADV_WIPEONFORK: it is asked each time */

static _Atomic(pid_t) *page(void)
{
	_Atomic(pid_t) *p, *none = NULL;
	size_t n = (size_t)sysconf(_SC_PAGESIZE);
	void *map = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	p = map;
	if (map == MAP_FAILED || madvise(map, n, MADV_WIPEONFORK) != 0)
		refused = true;
	else if (atomic_compare_exchange_strong(&kept, &none, p))
		return p;
	if (map != MAP_FAILED)
		munmap(map, n);
	return none; /* NULL, or that of another thread, which was first */
}

pid_t getpid(void)
{
	_Atomic(pid_t) *p = atomic_load_explicit(&kept, memory_order_acquire);
	pid_t pid;

	if (p == NULL && !refused)
		p = page();
	pid = p != NULL ? atomic_load_explicit(p, memory_order_relaxed) : 0;
	if (pid != 0)
		return pid;
	pid = (pid_t)syscall(SYS_getpid);
	if (p != NULL)
		atomic_store_explicit(p, pid, memory_order_relaxed);
	return pid;
}
