/* SPDX-License-Identifier: MIT */
/*
 * Shared memory as CPUs with store buffers show it (total store order, as on x86): a store waits
 * in its CPU's buffer, oldest first, and reaches memory at any later moment; a load looks at
 * memory at once, and so overtakes the CPU's own earlier stores. That is the reordering which
 * release stores and acquire loads leave open, and against which common/end.c has its seq_cst
 * fences. What weaker CPUs reorder besides is up to release and acquire, and not checked here.
 *
 * A model defines CPUS and WORDS, then includes this file first.
 */
#define STORES 2 /* room in a buffer: for two stores in a row, which the next load overtakes */

byte memory[WORDS];
chan stores[CPUS] = [STORES] of { byte, byte }; /* word, value */

/* Declared first, so that its process number is its CPU's. */
active [CPUS] proctype store_buffer()
{
    byte word, value;

end:
    do
    :: atomic { stores[_pid]?word, value -> memory[word] = value; word = 0; value = 0 }
    od
}

/* Nothing of this CPU is on its way; as a statement: wait until it is so. */
#define drained(cpu) empty(stores[cpu])

inline store(cpu, address, content)
{
    stores[cpu]!address, content
}

/* A CPU sees its own waiting stores; no model needs that: an end keeps its positions to itself. */
inline load(cpu, address, loaded)
{
    atomic { assert(!stores[cpu]??[eval(address), _]); loaded = memory[address] }
}

/* atomic_thread_fence(memory_order_seq_cst) */
inline fence(cpu)
{
    drained(cpu)
}

/* A locked instruction: drains the buffer, then reads and writes memory in one step. */
inline exchange(cpu, address, content, loaded)
{
    atomic { drained(cpu) -> loaded = memory[address]; memory[address] = content }
}
