/*
 * Networks as a prefix tree without nodes of one child (Morrison's PATRICIA). First match, not
 * longest: each node knows the place of its network in the list, and of all networks on the way to
 * an address the one that stood first wins.
 */
#include <stdlib.h>

#include "lookup_priv.h"

#define NONE UINT32_MAX
#define ADDRESS_BITS 128

struct address {
	uint64_t hi, lo; /* host order: the first bit is the highest */
};

struct node {
	struct address net;
	uint32_t best; /* place of the network in the list, NONE: only a fork */
	uint32_t
		child[2]; /* by the bit behind the prefix; 0: none, as the root is nobody's child */
	uint8_t bits;
};

struct net_entry {
	uint32_t text;
	struct mw_cell cell;
};

struct mw_nets {
	struct node *nodes; /* [0]: ::/0 */
	size_t node_count, node_cap;
	struct net_entry *entries;
	size_t count, cap;
	struct mw_pool pool;
};

static struct address address_of(const struct mw_ip *ip)
{
	struct address a = { 0, 0 };

	for (size_t i = 0; i < 8; i++) {
		a.hi = a.hi << 8 | ip->a[i];
		a.lo = a.lo << 8 | ip->a[8 + i];
	}
	return a;
}

static unsigned bit_at(const struct address *a, unsigned n)
{
	return (unsigned)(n < 64 ? a->hi >> (63 - n) : a->lo >> (127 - n)) & 1;
}

/* How many leading bits are the same, at most `most`. */
static unsigned common_bits(const struct address *a, const struct address *b, unsigned most)
{
	uint64_t hi = a->hi ^ b->hi, lo = a->lo ^ b->lo;
	unsigned n = hi != 0   ? (unsigned)__builtin_clzll(hi)
		     : lo != 0 ? 64 + (unsigned)__builtin_clzll(lo)
			       : ADDRESS_BITS;

	return n < most ? n : most;
}

static bool within(const struct node *n, const struct address *a)
{
	return common_bits(&n->net, a, n->bits) == n->bits;
}

/* ------------------------------------------------------------------ building */

static bool reserve(struct mw_nets *n)
{
	if (n->node_count + 2 > n->node_cap) {
		size_t cap = n->node_cap * 2 + 8;
		struct node *nodes = realloc(n->nodes, cap * sizeof(*nodes));

		if (nodes == NULL)
			return false;
		n->nodes = nodes;
		n->node_cap = cap;
	}
	if (n->count == n->cap) {
		size_t cap = n->cap * 2 + 8;
		struct net_entry *entries = realloc(n->entries, cap * sizeof(*entries));

		if (entries == NULL)
			return false;
		n->entries = entries;
		n->cap = cap;
	}
	return true;
}

struct mw_nets *mw_nets_new(void)
{
	struct mw_nets *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	if (!reserve(n)) {
		mw_nets_destroy(&n);
		return NULL;
	}
	n->nodes[n->node_count++] = (struct node){ .best = NONE };
	return n;
}

void mw_nets_destroy(struct mw_nets **n_p)
{
	struct mw_nets *n = *n_p;

	*n_p = NULL;
	if (n == NULL)
		return;
	mw_pool_fini(&n->pool);
	free(n->entries);
	free(n->nodes);
	free(n);
}

struct mw_pool *mw_nets_pool(struct mw_nets *n)
{
	return &n->pool;
}

size_t mw_nets_count(const struct mw_nets *n)
{
	return n->count;
}

/* Room was reserved: pointers to nodes stay. */
static uint32_t node_new(struct mw_nets *n, const struct address *net, unsigned bits, uint32_t best)
{
	n->nodes[n->node_count] = (struct node){ .net = *net, .bits = (uint8_t)bits, .best = best };
	return (uint32_t)n->node_count++;
}

/* Put *net between the node at *link and its parent: above it, or beside it under a fork. */
static void split(struct mw_nets *n, uint32_t *link, const struct address *net, unsigned bits,
	unsigned common, uint32_t place)
{
	uint32_t old = *link, made;
	struct address old_net = n->nodes[old].net;

	if (common == bits) {
		made = node_new(n, net, bits, place);
	} else {
		struct address fork = *net;
		uint32_t leaf = node_new(n, net, bits, place);

		made = node_new(n, &fork, common, NONE);
		n->nodes[made].child[bit_at(net, common)] = leaf;
	}
	n->nodes[made].child[bit_at(&old_net, common)] = old;
	*link = made;
}

static void insert(struct mw_nets *n, const struct address *net, unsigned bits, uint32_t place)
{
	struct node *node = &n->nodes[0];

	while (node->bits < bits) {
		uint32_t *link = &node->child[bit_at(net, node->bits)];
		unsigned common;

		if (*link == 0) {
			*link = node_new(n, net, bits, place);
			return;
		}
		node = &n->nodes[*link];
		common = common_bits(&node->net, net, node->bits < bits ? node->bits : bits);
		if (common < node->bits) {
			split(n, link, net, bits, common, place);
			return;
		}
	}
	if (place < node->best)
		node->best = place;
}

bool mw_nets_add(
	struct mw_nets *n, const struct mw_net *net, const char *text, const struct mw_cell *c)
{
	struct address a = address_of(&net->ip);
	uint32_t at;

	if (n->count == NONE || !reserve(n))
		return false;
	at = mw_pool_add(&n->pool, text, strlen(text));
	if (at == UINT32_MAX)
		return false;
	n->entries[n->count] = (struct net_entry){ at, *c };
	insert(n, &a, net->bits, (uint32_t)n->count++);
	return true;
}

/* ------------------------------------------------------------------ asking */

static uint32_t best_of(const struct mw_nets *n, const struct mw_ip *ip)
{
	const struct node *node = &n->nodes[0];
	uint32_t best = node->best, next;
	struct address a;

	if (ip == NULL)
		return best;
	a = address_of(ip);
	while (node->bits < ADDRESS_BITS && (next = node->child[bit_at(&a, node->bits)]) != 0) {
		node = &n->nodes[next];
		if (!within(node, &a))
			break;
		if (node->best < best)
			best = node->best;
	}
	return best;
}

bool mw_nets_lookup(const struct mw_nets *n, const struct mw_ip *ip, struct mw_lookup_result *r)
{
	uint32_t best = best_of(n, ip);

	if (best == NONE)
		return false;
	r->key = n->pool.p + n->entries[best].text;
	mw_cell_read(&n->entries[best].cell, &n->pool, NULL, NULL, r);
	return true;
}
