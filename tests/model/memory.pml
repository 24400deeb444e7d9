/* SPDX-License-Identifier: MIT */
/*
 * Shared memory as CPUs with store buffers show it (total store order, as on x86): a store waits in its CPU's buffer,
 * oldest first, and reaches memory at any later moment; a load looks at memory at once, and so overtakes the CPU's own
 * earlier stores. That is the one reordering which a release store and an acquire load leave open on every CPU, and
 * against which common/bell.c has its seq_cst fences.
 *
 * A model defines CPUS and WORDS, then includes this file first.
 */
#define STORES 2 /* room in a buffer: enough for two stores in a row, each of which the next load may overtake */

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

/* A CPU sees its own waiting stores; no model needs that, since each end keeps its own positions to itself. */
inline load(cpu, address, loaded)
{
    atomic { assert(!stores[cpu]??[eval(address), _]); loaded = memory[address] }
}

/* atomic_thread_fence(memory_order_seq_cst) */
inline fence(cpu)
{
    drained(cpu)
}

/* A store whose fence follows at once, with no load between: nobody can tell when it left the buffer. */
inline store_and_fence(cpu, address, content)
{
    atomic { drained(cpu) -> memory[address] = content }
}

/* A locked instruction: drains the buffer, then reads and writes memory in one step. */
inline exchange(cpu, address, content, loaded)
{
    atomic { drained(cpu) -> loaded = memory[address]; memory[address] = content }
}
