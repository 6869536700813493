# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Results of tests/bench/guest.sh, one or more rounds of them, to a table in Markdown: for each row the median of the rounds, the best
# of the peers, and TFS against it (above 1: TFS is better). -v svg=FILE: a plot of those ratios.
# Lines: FS|ROW|KB|FLUSHES|KB UNTIL UNMOUNT;  FS|ROW|VALUE|UNIT|SECONDS|KERNEL|USER|REQUESTS|READ|WRITTEN|FLUSHES|BUSY;  FS|ROW|VALUE|ms|SAMPLES
BEGIN {
	FS = "|"
	names = split("ext4 xfs btrfs f2fs nilfs2 tfs tfs-lz4", name, " ")
	iops = 0; bps = 0; if (split(limit, l, ",") == 2) { iops = l[1]; bps = l[2] / 1024 }
}
function seen(row) { if (!(row in at)) { at[row] = ++rows; row_of[rows] = row } }
function keep(row, fs, what, v) { n[row, fs, what]++; value[row, fs, what, n[row, fs, what]] = v + 0 }
# the middle of what was kept; "" of nothing
function median(row, fs, what,    c, i, j, t, s) {
	c = n[row, fs, what]; if (!c) return ""
	for (i = 1; i <= c; i++) { t = value[row, fs, what, i]; for (j = i - 1; j >= 1 && s[j] > t; j--) s[j + 1] = s[j]; s[j + 1] = t }
	return s[int((c + 1) / 2)]
}
NF == 5 && $4 ~ /^[0-9.]+$/ { seen($2); kind[$2] = "cost"; keep($2, $1, "kb", $3); keep($2, $1, "flushes", $4); keep($2, $1, "all", $5); next }
NF == 5 { seen($2); kind[$2] = "time"; unit[$2] = $4; keep($2, $1, "v", $3); next }
NF == 12 {
	seen($2); kind[$2] = "time"; unit[$2] = $4
	keep($2, $1, "v", $3); keep($2, $1, "cpu", $6)
	if (iops && $5 > 0) {
		# /sys/block counts a flush of its own as a write, and not one that a write carries. TFS, F2FS and NILFS2 send theirs
		# alone; of the others it is not known, so how many requests the limit counted lies between two numbers.
		moved = ($9 + $10) / $5 / bps; least = ($8 - $11) / $5 / iops; most = $1 ~ /^(tfs|f2fs|nilfs2)/ ? least : $8 / $5 / iops
		if (least < moved) least = moved; if (most < moved) most = moved
		keep($2, $1, "share", 100 * least); keep($2, $1, "share most", 100 * most)
		keep($2, $1, "disk", $5 * least); keep($2, $1, "disk most", $5 * most)
	}
}
function better(row, a, b) { return unit[row] ~ /\/s$|^tps$/ ? a > b : a < b }
function number(v) { return v == "" ? "" : v >= 100 ? sprintf("%.0f", v) : v >= 10 ? sprintf("%.1f", v) : sprintf("%.2f", v) }
# the best peer of a row; "" of none
function best(row,    i, v, b, found) {
	b = ""
	for (i = 1; i <= 5; i++) { v = median(row, name[i], "v"); if (v != "" && (b == "" || better(row, v, b))) { b = v; found = name[i] } }
	best_name = found; return b
}
function ratio(row, fs,    v, b) {
	v = median(row, fs, "v"); b = best(row); if (v == "" || b == "" || v == 0 || b == 0) return ""
	return unit[row] ~ /\/s$|^tps$/ ? v / b : b / v
}
function header(first, last,    i, h, l) {
	h = "| " first " |"; l = "|---|"
	for (i = 1; i <= names; i++) { h = h " " name[i] " |"; l = l "---|" }
	if (last != "") { h = h " " last " |"; l = l "---|" }
	print h; print l
}
function costs(    r, i, line, row) {
	print "\n## KB written / flushes of one operation, and KB of each until the unmount\n"; header("operation", "")
	for (r = 1; r <= rows; r++) {
		row = row_of[r]; if (kind[row] != "cost") continue
		line = "| " row " |"
		for (i = 1; i <= names; i++) line = line (median(row, name[i], "kb") == "" ? " |" : sprintf(" %.1f / %.2f, %.1f |", median(row, name[i], "kb"), median(row, name[i], "flushes"), median(row, name[i], "all")))
		print line
	}
}
# the row used so little of the disk's limit that its time is the guest's processor's, or of a host that did other things
function busy(row,    v) { v = median(row, "tfs", "share most"); return v != "" && v < 75 }
function times(    r, i, line, row, q) {
	print "\n## Throughput and times\n"; header("row", "tfs / best peer")
	for (r = 1; r <= rows; r++) {
		row = row_of[r]; if (kind[row] != "time") continue
		line = "| " row ", " unit[row] " |"
		for (i = 1; i <= names; i++) line = line " " number(median(row, name[i], "v")) " |"
		q = ratio(row, "tfs"); print line (q == "" ? " |" : sprintf(" %.2f (%s)%s |", q, best_name, busy(row) ? ", not the disk" : ""))
	}
}
function range(a, b, format) { return a == "" ? "" : b <= 1.05 * a ? sprintf(format, a) : sprintf(format " to " format, a, b) }
# what the disk alone takes for a row: of requests and bytes that were counted, so no load of the host is in it
function disk_times(    r, i, b, line, row, v, title, m) {
	for (r = 1; r <= rows; r++) {
		row = row_of[r]; v = median(row, "tfs", "disk"); if (v == "") continue
		if (!title++) {
			print "\n## What the disk alone takes, seconds: the requests and bytes that were counted, by its limits\n"
			header("row", "best peer that is known / tfs")
		}
		line = "| " row " |"; b = ""
		for (i = 1; i <= names; i++) {
			q = median(row, name[i], "disk"); m = median(row, name[i], "disk most"); line = line " " range(q, m, "%.2f") " |"
			if (i <= 5 && q != "" && m <= 1.05 * q && (b == "" || q < b)) { b = q; best_name = name[i] }
		}
		print line (b == "" || v == 0 ? " |" : sprintf(" %.2f (%s) |", b / v, best_name))
	}
}
function table(title, what, format,    r, i, line, row, any, v) {
	for (r = 1; r <= rows; r++) {
		row = row_of[r]; line = "| " row " |"; any = 0
		for (i = 1; i <= names; i++) { v = median(row, name[i], what); if (v != "") any = 1; line = line " " range(v, median(row, name[i], what " most"), format) " |" }
		if (!any) continue
		if (title != "") { print "\n## " title "\n"; header("row", ""); title = "" }
		print line
	}
}
function xml(s) { gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); return s }
# A bar to the right for better, to the left for worse, on a logarithmic scale: ten times is 200 wide.
function plot(    r, row, q, x, y, w, shown, i) {
	for (r = 1; r <= rows; r++) if (kind[row_of[r]] == "time" && ratio(row_of[r], "tfs") != "") shown++
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"900\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n<!-- SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause -->\n", shown * 20 + 60 >svg
	print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/><text x=\"10\" y=\"20\" font-size=\"14\">TFS (codec none) against the best of ext4, XFS, btrfs, F2FS, NILFS2: to the right is better; grey: the disk was not what was measured</text>" >svg
	for (i = -1; i <= 1; i += 0.5) { x = 640 + 200 * i; printf "<line x1=\"%.0f\" y1=\"42\" x2=\"%.0f\" y2=\"%d\" stroke=\"#ccc\"/><text x=\"%.0f\" y=\"38\" text-anchor=\"middle\">%.2g</text>\n", x, x, shown * 20 + 48, x, exp(i * log(10)) >svg }
	y = 48
	for (r = 1; r <= rows; r++) {
		row = row_of[r]; q = kind[row] == "time" ? ratio(row, "tfs") : ""; if (q == "") continue
		w = 200 * log(q) / log(10); if (w > 240) w = 240; if (w < -240) w = -240
		printf "<text x=\"390\" y=\"%d\" text-anchor=\"end\">%s</text><rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"13\" fill=\"%s\"/><text x=\"%.1f\" y=\"%d\"%s>%.2f</text>\n", y + 11, xml(row), (w < 0 ? 640 + w : 640), y, (w < 0 ? -w : w), (busy(row) ? "#aaa" : q >= 1 ? "#2a7" : "#c63"), 640 + w + (w < 0 ? -4 : 4), y + 11, (w < 0 ? " text-anchor=\"end\"" : ""), q >svg
		y += 20
	}
	print "</svg>" >svg
}
END {
	costs(); times(); disk_times()
	table("Share of the disk's limit that was used, %: near 100 the disk is what was measured, else the guest's CPU and the way to the disk", "share", "%.0f")
	table("CPU time in the kernel, seconds" counted, "cpu", "%.2f")
	if (svg != "") plot()
}
