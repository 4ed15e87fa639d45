/*
 * gmime_leaves: what GMime makes of mails, for a comparison with the scanner's parser.
 *
 *   gmime_leaves FOLDER    as mwleaves: mail NAME, then leaf TYPE OCTETS SHA256 of each, decoded
 */
#include <dirent.h>
#include <errno.h>
#include <gmime/gmime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell_leaf(const char *type, GMimeDataWrapper *content, GByteArray *whole)
{
	GMimeStream *mem = whole != NULL ? g_mime_stream_mem_new_with_byte_array(whole)
					 : g_mime_stream_mem_new();
	GByteArray *octets;
	char *lower = g_ascii_strdown(type, -1), *digest;

	if (content != NULL)
		g_mime_data_wrapper_write_to_stream(content, mem);
	octets = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(mem));
	digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, octets->data, octets->len);
	printf("leaf %s %u %s\n", lower, octets->len, digest);
	g_free(digest);
	g_free(lower);
	g_object_unref(mem);
}

static void tell_object(GMimeObject *o)
{
	char *type = g_mime_content_type_get_mime_type(g_mime_object_get_content_type(o));

	if (GMIME_IS_MULTIPART(o)) {
		int n = g_mime_multipart_get_count(GMIME_MULTIPART(o));

		for (int i = 0; i < n; i++)
			tell_object(g_mime_multipart_get_part(GMIME_MULTIPART(o), i));
	} else if (GMIME_IS_MESSAGE_PART(o)) {
		GMimeMessage *inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(o));

		if (inner != NULL && g_mime_message_get_mime_part(inner) != NULL)
			tell_object(g_mime_message_get_mime_part(inner));
	} else if (GMIME_IS_PART(o)) {
		tell_leaf(type, g_mime_part_get_content(GMIME_PART(o)), NULL);
	}
	g_free(type);
}

static void tell_mail(const char *folder, const char *name)
{
	char *path = g_build_filename(folder, name, NULL), *text = NULL;
	gsize n = 0;
	GMimeStream *mem;
	GMimeParser *parser;
	GMimeMessage *message;

	if (!g_file_get_contents(path, &text, &n, NULL)) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(2);
	}
	printf("mail %s\n", name);
	mem = g_mime_stream_mem_new_with_buffer(text, n);
	parser = g_mime_parser_new_with_stream(mem);
	message = g_mime_parser_construct_message(parser, NULL);
	if (message != NULL && g_mime_message_get_mime_part(message) != NULL)
		tell_object(g_mime_message_get_mime_part(message));
	g_clear_object(&message);
	g_object_unref(parser);
	g_object_unref(mem);
	g_free(text);
	g_free(path);
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	struct dirent **names = NULL;
	int n = argc == 2 ? scandir(argv[1], &names, visible, alphasort) : -1;

	if (n < 0) {
		fprintf(stderr, "usage: gmime_leaves FOLDER\n");
		return 2;
	}
	g_mime_init();
	for (int i = 0; i < n; i++) {
		tell_mail(argv[1], names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return 0;
}
