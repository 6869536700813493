// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What a message says of itself beside its text, the same in every format: who it is (a collector, or who asks one,
 * tells repeats by it), how it was cut. Pure. Called by the formats.
 */
#include "logship/web/web.h"

static struct ship_out field(struct web_field *f, const char *name, bool number)
{
	f->name = name;
	f->number = number;
	return (struct ship_out){.buf = (u8 *)f->value, .size = sizeof(f->value) - 1};
}

static void end(struct web_field *f, const struct ship_out *o)
{
	f->value[o->len < o->size ? o->len : o->size] = 0;
}

static void put_number(struct web_field *f, const char *name, u64 v)
{
	struct ship_out o = field(f, name, true);

	ship_put_u64(&o, v);
	end(f, &o);
}

static void put_word(struct web_field *f, const char *name, u64 v, u32 digits)
{
	struct ship_out o = field(f, name, false);

	ship_put_hex(&o, v, digits);
	end(f, &o);
}

static void put_boot(struct web_field *f, const u8 boot[16])
{
	struct ship_out o = field(f, "boot", false);

	ship_put_boot(&o, boot);
	end(f, &o);
}

u32 web_fields(const struct ship_message *m, struct web_field out[WEB_FIELDS_MAX])
{
	u32 n = 0;

	put_word(&out[n++], "volume", m->id.volume, 16);
	put_number(&out[n++], "inode", m->id.ino);
	put_number(&out[n++], "generation", m->id.generation);
	put_number(&out[n++], "offset", m->id.offset);
	put_word(&out[n++], "crc", m->id.crc, 8);
	put_number(&out[n++], "sequence", m->sequence);
	put_boot(&out[n++], m->boot);
	if (m->part)
		put_number(&out[n++], "part", m->part);
	if (m->more)
		put_number(&out[n++], "more", 1);
	if (!web_is_utf8(m->text, m->len))
		put_number(&out[n++], "esc", 1);
	return n;
}

void web_put_uid(struct ship_out *o, const struct ship_identity *id)
{
	ship_put_hex(o, id->volume, 16);
	ship_put(o, "-", 1);
	ship_put_u64(o, id->ino);
	ship_put(o, "-", 1);
	ship_put_u64(o, id->generation);
	ship_put(o, "-", 1);
	ship_put_u64(o, id->offset);
	ship_put(o, "-", 1);
	ship_put_hex(o, id->crc, 8);
}

const char *web_severity(u8 priority)
{
	static const char *const names[] = {"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"};

	return names[priority & 7];
}

void web_put_time(struct ship_out *o, u64 ns)
{
	ship_put_time(o, (s64)(ns / 1000000000), (u32)(ns % 1000000000));
}

void web_put_seconds(struct ship_out *o, u64 ns)
{
	ship_put_u64(o, ns / 1000000000);
	ship_put(o, ".", 1);
	ship_put_padded(o, (u32)(ns % 1000000000 / 1000), 6);
}
