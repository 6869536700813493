// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The formats that collectors take by HTTP: one line each, what differs in functions of their own. */
#include "logship/web/web.h"

static const struct web_format formats[] = {
    [SHIP_OTLP - SHIP_OTLP] = {.path = "/v1/logs",
                               .type = "application/json",
                               .head = "{\"resourceLogs\":[",
                               .tail = "]}",
                               .group_end = "]}]}",
                               .comma = true,
                               .most = WEB_BATCH_ITEMS,
                               .group = web_otlp_group,
                               .item = web_otlp_item,
                               .taken = web_otlp_taken},
    [SHIP_LOKI - SHIP_OTLP] = {.path = "/loki/api/v1/push",
                               .type = "application/json",
                               .head = "{\"streams\":[",
                               .tail = "]}",
                               .group_end = "]}",
                               .comma = true,
                               .most = WEB_BATCH_ITEMS,
                               .group = web_loki_group,
                               .item = web_loki_item},
    [SHIP_ELASTIC - SHIP_OTLP] = {.path = "/_bulk",
                                  .type = "application/x-ndjson",
                                  .head = "",
                                  .tail = "",
                                  .most = WEB_BATCH_ITEMS,
                                  .item = web_elastic_item,
                                  .taken = web_elastic_taken},
    [SHIP_SPLUNK - SHIP_OTLP] = {.path = "/services/collector/event",
                                 .type = "application/json",
                                 .head = "",
                                 .tail = "",
                                 .most = WEB_BATCH_ITEMS,
                                 .item = web_splunk_item,
                                 .taken = web_splunk_taken,
                                 .refused = web_splunk_refused},
    [SHIP_GELF - SHIP_OTLP] =
        {.path = "/gelf", .type = "application/json", .head = "", .tail = "", .most = 1, .item = web_gelf_item},
    [SHIP_JOURNAL - SHIP_OTLP] = {.path = "/upload",
                                  .type = "application/vnd.fdo.journal",
                                  .head = "",
                                  .tail = "",
                                  .most = WEB_BATCH_ITEMS,
                                  .item = web_journal_item},
};

const struct web_format *web_format(enum ship_transport transport)
{
	u32 i = (u32)transport - SHIP_OTLP;

	return transport >= SHIP_OTLP && i < sizeof(formats) / sizeof(*formats) ? &formats[i] : NULL;
}
