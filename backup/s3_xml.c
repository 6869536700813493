// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Bounded: paths of 256 bytes, texts of 8 KiB (a key has 1 KiB, three times that when it is URL-encoded). */
#include "backup/s3_xml.h"

#include <errno.h>
#include <expat.h>
#include <stdbool.h>
#include <string.h>

struct parsing {
	XML_Parser parser;
	char path[256], text[8192];
	size_t path_length, text_length;
	bool bad;
	void (*element)(void *arg, const char *path, const char *text);
	void *arg;
};

static void stop(struct parsing *p)
{
	p->bad = true;
	XML_StopParser(p->parser, XML_FALSE);
}

static void on_start(void *arg, const char *name, const char **attributes)
{
	struct parsing *p = arg;
	size_t length = strlen(name);

	(void)attributes;
	if (p->path_length + length + 2 > sizeof(p->path)) {
		stop(p);
		return;
	}
	if (p->path_length)
		p->path[p->path_length++] = '/';
	memcpy(p->path + p->path_length, name, length + 1);
	p->path_length += length;
	p->text_length = 0;
}

static void on_text(void *arg, const char *text, int length)
{
	struct parsing *p = arg;

	if (p->text_length + (size_t)length >= sizeof(p->text)) {
		stop(p);
		return;
	}
	memcpy(p->text + p->text_length, text, (size_t)length);
	p->text_length += (size_t)length;
}

static void on_end(void *arg, const char *name)
{
	struct parsing *p = arg;
	size_t length = strlen(name);

	p->text[p->text_length] = 0;
	if (!p->bad)
		p->element(p->arg, p->path, p->text);
	p->path_length -= length;
	if (p->path_length)
		p->path_length--;
	p->path[p->path_length] = 0;
	p->text_length = 0;
}

static void on_doctype(void *arg, const char *name, const char *system, const char *public, int internal)
{
	(void)name, (void)system, (void)public, (void)internal;
	stop(arg);
}

int s3_xml_parse(const char *data, size_t length, void (*element)(void *arg, const char *path, const char *text),
                 void *arg)
{
	struct parsing p = {.element = element, .arg = arg};
	int err = 0;

	p.parser = XML_ParserCreate(NULL);
	if (!p.parser)
		return -ENOMEM;
	XML_SetUserData(p.parser, &p);
	XML_SetElementHandler(p.parser, on_start, on_end);
	XML_SetCharacterDataHandler(p.parser, on_text);
	XML_SetStartDoctypeDeclHandler(p.parser, on_doctype);
	while (length && strchr(" \t\r\n", *data)) /* sent while a long completion is under way */
		data++, length--;
	if (length > 1u << 30 || XML_Parse(p.parser, data, (int)length, 1) != XML_STATUS_OK || p.bad)
		err = -EINVAL;
	XML_ParserFree(p.parser);
	return err;
}
