#include "clients.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 64 /* a power of two; grows with the addresses */

struct client {
	struct mw_ip ip;
	unsigned sessions;
	struct client *next;
};

struct clients {
	uint64_t key[2];
	size_t count, buckets;
	struct client **bucket;
};

struct clients *clients_new(void)
{
	struct clients *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->buckets = BUCKETS_MIN;
	c->bucket = calloc(c->buckets, sizeof(*c->bucket));
	if (c->bucket == NULL) {
		free(c);
		return NULL;
	}
	mw_random(c->key, sizeof(c->key));
	return c;
}

void clients_destroy(struct clients **c_p)
{
	struct clients *c = *c_p;

	*c_p = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->buckets; i++)
		while (c->bucket[i] != NULL) {
			struct client *gone = c->bucket[i];

			c->bucket[i] = gone->next;
			free(gone);
		}
	free(c->bucket);
	free(c);
}

/* Both halves multiplied with what only we know, all 128 bits of the product folded into 64. */
static struct client **bucket_of(const struct clients *c, const struct mw_ip *ip)
{
	uint64_t half[2];
	unsigned __int128 product;

	memcpy(half, ip->a, sizeof(half));
	product = (unsigned __int128)(half[0] ^ c->key[0]) * ((half[1] ^ c->key[1]) | 1);
	half[0] = (uint64_t)product ^ (uint64_t)(product >> 64) ^ c->key[1];
	product = (unsigned __int128)half[0] * (c->key[0] | 1);
	return &c->bucket[((uint64_t)product ^ (uint64_t)(product >> 64)) & (c->buckets - 1)];
}

/* Twice the buckets. Without memory it goes on with those it has. */
static void grow(struct clients *c)
{
	struct clients wider = *c;

	wider.buckets = c->buckets * 2;
	wider.bucket = calloc(wider.buckets, sizeof(*wider.bucket));
	if (wider.bucket == NULL)
		return;
	for (size_t i = 0; i < c->buckets; i++)
		while (c->bucket[i] != NULL) {
			struct client *moved = c->bucket[i];
			struct client **to = bucket_of(&wider, &moved->ip);

			c->bucket[i] = moved->next;
			moved->next = *to;
			*to = moved;
		}
	free(c->bucket);
	*c = wider;
}

struct client *clients_enter(struct clients *c, const struct mw_ip *ip)
{
	struct client **at = bucket_of(c, ip), *client;

	for (client = *at; client != NULL; client = client->next)
		if (mw_ip_equal(&client->ip, ip)) {
			client->sessions++;
			return client;
		}
	client = malloc(sizeof(*client));
	if (client == NULL)
		return NULL;
	*client = (struct client){ .ip = *ip, .sessions = 1, .next = *at };
	*at = client;
	if (++c->count > c->buckets)
		grow(c);
	return client;
}

unsigned clients_count(const struct client *client)
{
	return client->sessions;
}

void clients_leave(struct clients *c, struct client **client_p)
{
	struct client *client = *client_p, **at;

	*client_p = NULL;
	if (client == NULL || --client->sessions > 0)
		return;
	for (at = bucket_of(c, &client->ip); *at != client; at = &(*at)->next)
		;
	*at = client->next;
	c->count--;
	free(client);
}
