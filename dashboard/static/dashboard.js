// Charts, tables and the "why" of a customer. Whatever comes from the extracts is set as text, never as markup.
(function () {
  "use strict";

  const root = document.documentElement;
  const find = (selector, within) => (within || document).querySelector(selector);
  const all = (selector, within) => Array.from((within || document).querySelectorAll(selector));
  const digits = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
  const dataOf = (element) => JSON.parse(element.textContent);

  /** An element with attributes and children; text becomes text nodes. */
  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  // ------------------------------------------------------------------------------------------------------- theme

  const themeButton = find(".theme");

  function showTheme() {
    const dark = root.dataset.theme === "dark";
    themeButton.setAttribute("aria-pressed", String(dark));
    themeButton.setAttribute("aria-label", "Dark theme");
  }

  function setTheme(theme) {
    root.dataset.theme = theme;
    showTheme();
    charts.forEach((chart) => chart.draw());
  }

  themeButton.addEventListener("click", () => {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", theme); } catch (error) { /* no storage: for this page only */ }
    setTheme(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
    let chosen = null;
    try { chosen = localStorage.getItem("theme"); } catch (error) { /* no storage */ }
    if (!chosen) setTheme(event.matches ? "dark" : "light");
  });

  // ------------------------------------------------------------------------------------------------------ charts

  const charts = new Map();

  /** A chart of the vendored library, in the page's colours, read by mouse, touch or arrow keys. */
  class Chart {
    constructor(figure) {
      this.plot = find(".plot", figure);
      this.reading = find(".reading", figure);
      this.spec = dataOf(find("script", figure));
      this.shown = this.spec.shown;
      this.inView = this.spec.view;
      this.at = null;
      this.library = window.echarts.init(this.plot, null, { renderer: "svg" });
      this.draw();
      this.plot.addEventListener("keydown", (event) => this.read(event));
      this.plot.addEventListener("blur", () => this.library.dispatchAction({ type: "hideTip" }));
      new ResizeObserver(() => this.plot.clientWidth && this.library.resize()).observe(this.plot);
    }

    get series() {
      return this.spec.series[this.shown];
    }

    /** What stands on the axis: months, or in a waterfall the lines of the shown metric. */
    get labels() {
      return this.series.labels || this.spec.labels;
    }

    mark(index) {
      if (this.spec.kind === "waterfall") return "";
      if (index === this.spec.partial) return this.spec.kind === "bars" ? ", partial" : ", so far";
      if (this.isUncovered(index)) return ", not covered";
      return this.spec.reconstructed.includes(index) ? ", reconstructed" : "";
    }

    /** Whether the extracts of jobs don't reach back to the month's first day. */
    isUncovered(index) {
      return (this.spec.uncovered || []).includes(index);
    }

    draw() {
      const style = getComputedStyle(root);
      const colour = (name) => style.getPropertyValue("--" + name).trim();
      const font = getComputedStyle(document.body).fontFamily;
      const tick = { color: colour("quiet"), fontFamily: font, fontSize: 12 };
      const common = {
        animation: false,
        textStyle: { fontFamily: font },
        tooltip: {
          trigger: "axis",
          confine: true,
          axisPointer: { type: this.spec.kind === "line" ? "line" : "shadow", shadowStyle: { color: colour("accent-line"), opacity: 0.08 }, lineStyle: { color: colour("line-strong") } },
          backgroundColor: colour("surface"),
          borderColor: colour("line-strong"),
          textStyle: { color: colour("text"), fontSize: 13 },
          formatter: (points) => this.tooltip(points[0].dataIndex),
        },
      };
      const own = this.spec.kind === "waterfall" ? this.waterfall(colour, tick) : this.months(colour, tick);
      this.library.setOption({ ...common, ...own }, true);
    }

    /** Totals as bars from 0, and each step from the figure before it to the one after. */
    waterfall(colour, tick) {
      const { labels, texts, before, after, totals } = this.series;
      this.plot.style.height = `${labels.length * 1.9 + 2.5}rem`;
      this.library.resize();
      const bars = labels.map((label, index) => {
        const up = after[index] >= before[index];
        const step = up ? { color: colour("accent-soft"), borderColor: colour("accent-line"), borderWidth: 1.5 } : { color: colour("line"), borderColor: colour("quiet"), borderWidth: 1.5 };
        return { value: Math.abs(after[index] - before[index]), itemStyle: totals[index] ? { color: colour("accent-line") } : step };
      });
      const bar = { type: "bar", stack: "lines", stackStrategy: "all", barMaxWidth: 18, emphasis: { disabled: true } };
      const narrow = this.plot.clientWidth < 500;
      return {
        grid: { left: 8, right: 72, top: 8, bottom: 8, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
        xAxis: { type: "value", minInterval: 1, axisLabel: { ...tick, hideOverlap: true, formatter: (value) => digits.format(value) }, splitLine: { lineStyle: { color: colour("line") } }, splitNumber: narrow ? 2 : 4 },
        yAxis: { type: "category", inverse: true, data: labels, axisLabel: { ...tick, interval: 0, ...(narrow ? { width: 130, overflow: "break", lineHeight: 14 } : {}) }, axisTick: { show: false }, axisLine: { lineStyle: { color: colour("line-strong") } } },
        series: [
          { ...bar, silent: true, itemStyle: { color: "transparent" }, data: labels.map((label, index) => Math.min(before[index], after[index])) },
          { ...bar, name: this.series.name, data: bars, label: { show: true, position: "right", color: colour("text"), fontFamily: tick.fontFamily, formatter: (point) => texts[point.dataIndex] } },
        ],
      };
    }

    months(colour, tick) {
      const { spec, series } = this;
      const bars = spec.kind === "bars";
      const last = spec.labels.length - 1;
      const zoomed = spec.view > 0 && spec.labels.length > spec.view;
      const first = this.inView ? Math.max(0, last - this.inView + 1) : 0;
      const values = series.values.map((value, index) => {
        if (bars && index === spec.partial) {
          return { value, itemStyle: { color: colour("accent-soft"), borderColor: colour("accent-line"), borderType: "dashed", borderWidth: 1.5 } };
        }
        if (!bars) {
          const hollow = spec.reconstructed.includes(index);
          const partial = index === spec.partial;
          return {
            value,
            symbolSize: hollow || partial ? 10 : 8,
            itemStyle: hollow
              ? { color: colour("surface"), borderColor: colour("quiet"), borderWidth: 2 }
              : partial
                ? { color: colour("accent-soft"), borderColor: colour("accent-line"), borderType: "dashed", borderWidth: 1.5 }
                : { color: colour("accent-line") },
          };
        }
        return { value };
      });
      return {
        grid: { left: 8, right: 16, top: 16, bottom: zoomed ? 56 : 8, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
        xAxis: { type: "category", data: spec.labels, axisLabel: { ...tick, hideOverlap: true }, axisTick: { show: false }, axisLine: { lineStyle: { color: colour("line-strong") } } },
        yAxis: { type: "value", minInterval: 1, ...(bars || this.beginsAtZero(series) ? { min: 0 } : { scale: true, boundaryGap: ["35%", "5%"] }), axisLabel: { ...tick, formatter: (value) => digits.format(value) }, splitLine: { lineStyle: { color: colour("line") } }, splitNumber: 4 },
        dataZoom: zoomed
          ? [
              {
                type: "slider", startValue: first, endValue: last, height: 24, bottom: 8, brushSelect: false, showDetail: false,
                borderColor: colour("line"), backgroundColor: "transparent", fillerColor: colour("accent-line") + "22",
                dataBackground: { lineStyle: { color: colour("line-strong") }, areaStyle: { color: colour("line") } },
                selectedDataBackground: { lineStyle: { color: colour("accent-line") }, areaStyle: { color: colour("accent-soft") } },
                handleStyle: { color: colour("surface"), borderColor: colour("line-strong") },
                moveHandleStyle: { color: colour("line-strong") }, emphasis: { handleStyle: { borderColor: colour("accent-line") }, moveHandleStyle: { color: colour("accent-line") } },
              },
            ]
          : [],
        series: [
          {
            type: bars ? "bar" : "line", name: series.name, data: values, barMaxWidth: 40, itemStyle: { color: colour("accent-line"), borderRadius: bars ? [4, 4, 0, 0] : 0 },
            lineStyle: { color: colour("accent-line"), width: 2.5 }, symbol: "circle", areaStyle: bars ? undefined : { color: colour("accent-line"), opacity: 0.07 },
            emphasis: { disabled: true },
          },
        ],
      };
    }

    /** Whether a trend is near enough to 0 to begin there; others begin below their least value, so that changes show. */
    beginsAtZero(series) {
      const least = Math.min(...series.values);
      const most = Math.max(...series.values);
      return least <= Math.max(2, (most - least) * 0.6);
    }

    tooltip(index) {
      const { spec } = this;
      const text = make("div", {}, make("strong", {}, this.labels[index]), this.mark(index));
      const lines = spec.kind === "line" ? spec.series : [this.series];
      const body = lines.map((series) => make("div", {}, `${series.name}: `, make("strong", {}, this.value(series, index))));
      return make("div", { class: "tip" }, text, ...body);
    }

    value(series, index) {
      if (series.texts) return series.texts[index];
      const value = series.values[index];
      if (value === null) return this.isUncovered(index) ? "not known" : "not priced";
      return digits.format(value);
    }

    read(event) {
      const last = this.labels.length - 1;
      const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
      if (event.key === "Escape") return void this.library.dispatchAction({ type: "hideTip" });
      if (!(event.key in steps)) return;
      event.preventDefault();
      const from = this.at === null ? last - (event.key === "ArrowRight" ? 1 : -1) : this.at;
      this.at = Math.min(last, Math.max(0, from + steps[event.key]));
      const first = this.firstInView();
      if (this.at < first) this.view(last - this.at + 1, true);
      this.library.dispatchAction({ type: "showTip", seriesIndex: 0, dataIndex: this.at });
      const { series } = this;
      this.reading.textContent = `${this.labels[this.at]}${this.mark(this.at)}: ${this.value(series, this.at)} ${series.name.toLowerCase()}`;
    }

    firstInView() {
      const zoom = (this.library.getOption().dataZoom || [])[0];
      return zoom ? zoom.startValue : 0;
    }

    /** The last ``months`` months in view; 0 for all. */
    view(months) {
      const last = this.spec.labels.length - 1;
      this.inView = months;
      this.library.dispatchAction({ type: "dataZoom", startValue: months ? Math.max(0, last - months + 1) : 0, endValue: last });
    }

    show(index) {
      this.shown = index;
      if (this.spec.kind === "waterfall") this.at = null;
      this.draw();
    }
  }

  /** Draw a figure, and again when another metric is chosen. */
  function draw(figure) {
    const { chart: id } = find(".plot", figure).dataset;
    const chart = new Chart(figure);
    charts.set(id, chart);
    all(`[data-metric-of="${id}"]`).forEach((select) => {
      select.addEventListener("change", () => chart.show(Number(select.value)));
      chart.show(Number(select.value)); // what the browser kept from the last visit
    });
  }

  all("figure.chart").forEach((figure) => {
    const within = figure.closest("details:not([open])"); // without a size until it is opened
    if (within) within.addEventListener("toggle", () => draw(figure), { once: true });
    else draw(figure);
  });

  all("[data-view-of]").forEach((group) => {
    const chart = charts.get(group.dataset.viewOf);
    const buttons = all("button", group);
    buttons.forEach((button) =>
      button.addEventListener("click", () => {
        buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
        chart.view(Number(button.dataset.months));
      }),
    );
  });

  // ------------------------------------------------------------------------------------------------------ tables

  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  /** What a row is searched by; read when first asked for. */
  function textOf(item) {
    if (item.text === undefined) item.text = item.row.textContent.toLowerCase();
    return item.text;
  }

  /** Search, sort, filter and pages for a table whose rows stand in the page. */
  class List {
    constructor(card) {
      this.table = find("table[data-page-size]", card);
      if (!this.table) return;
      this.body = this.table.tBodies[0];
      this.size = Number(this.table.dataset.pageSize);
      this.rows = Array.from(this.body.rows, (row, place) => ({ row, place }));
      this.card = card;
      this.page = 0;
      this.matching = this.rows;
      this.pager = find(".pager", card);
      this.search = find("[data-search]", card);
      this.filter = find("[data-filter]", card);
      this.count = find("[data-count]", card);
      this.none = find("[data-none]", card);
      if (this.search) this.search.addEventListener("input", () => this.select());
      if (this.filter) this.filter.addEventListener("change", () => this.select());
      const tools = find(".tools", card);
      if (tools) tools.hidden = false;
      all("th[data-sort]", this.table).forEach((head) => {
        const button = make("button", { type: "button" });
        button.append(...Array.from(head.childNodes));
        head.append(button);
        button.addEventListener("click", () => this.sort(head));
      });
      if (this.pager) {
        this.back = make("button", { type: "button" }, "Back");
        this.next = make("button", { type: "button" }, "Next");
        this.where = make("span", { "aria-live": "polite" });
        this.back.addEventListener("click", () => this.turn(-1));
        this.next.addEventListener("click", () => this.turn(1));
        this.pager.append(this.back, this.where, this.next);
      }
      this.select();
      this.table.dataset.paged = "";
    }

    select() {
      const words = (this.search ? this.search.value : "").toLowerCase().split(/\s+/).filter(Boolean);
      const states = (this.filter ? this.filter.value : "").split(" ").filter(Boolean);
      const kind = this.filter && this.filter.dataset.filter;
      this.matching = this.rows.filter(
        (item) => words.every((word) => textOf(item).includes(word)) && (!states.length || states.includes(item.row.dataset[kind])),
      );
      this.page = 0;
      this.show();
    }

    sort(head) {
      const column = Array.from(head.parentNode.cells).indexOf(head);
      const numbers = head.dataset.sort === "number";
      const before = head.getAttribute("aria-sort");
      const down = before ? before === "ascending" : numbers;
      all("th[aria-sort]", this.table).forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyOf = numbers ? ({ row }) => row.cells[column].dataset.value : ({ row }) => row.cells[column].textContent.trim();
      const keyed = this.rows.map((item) => ({ item, key: keyOf(item) }));
      const compare = numbers
        ? (a, b) => (isNaN(a) || isNaN(b) ? (a < b ? -1 : a > b ? 1 : 0) : a - b)
        : (a, b) => collator.compare(a, b);
      // what has no value comes last, whichever way
      keyed.sort((a, b) => {
        const empty = (a.key === "") - (b.key === "");
        return empty || (a.key === "" ? 0 : compare(a.key, b.key) * (down ? -1 : 1)) || a.item.place - b.item.place;
      });
      this.rows = keyed.map(({ item }) => item);
      this.select();
    }

    turn(pages) {
      this.page += pages;
      this.show();
    }

    show() {
      const { size, matching } = this;
      const pages = Math.max(1, Math.ceil(matching.length / size));
      this.page = Math.min(Math.max(0, this.page), pages - 1);
      const from = this.page * size;
      const shown = matching.slice(from, from + size);
      this.body.replaceChildren(...shown.map(({ row }) => row));
      if (this.count) this.count.textContent = `${digits.format(matching.length)} of ${digits.format(this.rows.length)}`;
      if (this.none) this.none.hidden = matching.length > 0;
      if (this.pager) {
        this.pager.hidden = pages === 1;
        this.back.disabled = this.page === 0;
        this.next.disabled = this.page === pages - 1;
        this.where.textContent = `${digits.format(from + 1)} to ${digits.format(from + shown.length)} of ${digits.format(matching.length)}`;
      }
    }
  }

  all("[data-table]").forEach((card) => new List(card));

  // --------------------------------------------------------------------------------------------------------- why

  const whyData = find("#why-data");
  if (whyData) {
    const data = dataOf(whyData);
    const select = find("#why-month");
    const place = find("#why-tables");
    const months = Array.from(select.options).map((option) => option.value); // newest first
    const groups = [
      ["Counted", (row) => row.q > 0 && row.m !== "tasks"],
      ["Not counted", (row) => !(row.q > 0) && row.m !== "tasks"],
      ["The same work as tasks", (row) => row.m === "tasks"],
    ];
    const metricName = (metric) => (metric ? data.metrics[metric] || metric : "");
    const amount = (quantity, metric) => (quantity ? `${digits.format(quantity)} ${quantity === 1 ? lower(metricName(metric)).replace(/s$/, "") : lower(metricName(metric))}` : "nothing");

    /** What a rule decided on, and how often: 1 step, 2 steps. */
    function decidedOn(count, units) {
      const one = { steps: "step", jobs: "job", requests: "request", "days of seats": "day of seats" };
      const name = units.split(",")[0];
      return `${digits.format(count)} ${count === 1 ? one[name] : name}`;
    }

    function lower(name) {
      return /^[A-Z][a-z]/.test(name) ? name[0].toLowerCase() + name.slice(1) : name;
    }

    function head(...titles) {
      return make("thead", {}, make("tr", {}, ...titles.map(([title, kind]) => make("th", { scope: "col", class: kind || null }, title))));
    }

    function recipesOf(row) {
      const { u: units, m: metric, r: rule } = row;
      const inside = make("td", { colspan: 5 });
      if (row.a) {
        row.a.sort((a, b) => b[1] - a[1] || collator.compare(a[0], b[0]));
        const names = row.a.map(([name, steps]) => `${name} (${digits.format(steps)})`);
        inside.append(make("p", {}, make("strong", {}, "Apps: "), make("bdi", {}, names.join(", "))));
      }
      const body = make("tbody", {});
      for (const { id, n: decided, q: quantity, e: examples } of row.p.sort((a, b) => b.q - a.q || b.n - a.n || collator.compare(a.id, b.id))) {
        const name = id === null ? make("span", { class: "quiet" }, "no recipe") : make("bdi", { class: "name" }, data.recipes[id] || "not listed");
        const cells = [make("th", { scope: "row" }, name, id === null ? null : make("span", { class: "id" }, make("bdi", {}, id)))];
        cells.push(make("td", { class: "num" }, decidedOn(decided, units)), make("td", { class: "num" }, amount(quantity, metric)));
        const jobs = make("td", {});
        examples.forEach((example, index) => jobs.append(index ? ", " : "", make("bdi", {}, make("code", {}, example))));
        cells.push(jobs);
        body.append(make("tr", {}, ...cells));
      }
      const examples = units.startsWith("requests") ? "Example requests" : "Example jobs";
      const table = make("table", {}, make("caption", { class: "visually-hidden" }, `Recipes under ${rule}`), head(["Recipe"], ["Decided", "num"], ["Counts as", "num"], [examples]), body);
      inside.append(make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Recipes under ${rule}` }, table));
      return make("tr", { class: "inner" }, inside);
    }

    function ruleRow(row) {
      const { u: units, m: metric, r: rule, n: decided, q: quantity } = row;
      const [sentence, publishedIn] = data.rules[rule];
      const source = row.o ? `override: ${row.o}` : publishedIn;
      const line = make("tr", { "data-rule": rule, "data-units": units, "data-metric": metric || "" });
      const code = make("code", {}, rule);
      let title = code;
      if (row.p) {
        title = make("button", { type: "button", class: "opens", "aria-expanded": "false" }, code);
        let inner = null;
        title.addEventListener("click", () => {
          const open = title.getAttribute("aria-expanded") === "true";
          title.setAttribute("aria-expanded", String(!open));
          if (open) inner.remove();
          else line.after((inner = inner || recipesOf(row)));
        });
      }
      line.append(
        make("th", { scope: "row" }, title),
        make("td", { class: "prose" }, sentence),
        make("td", { class: "num" }, decidedOn(decided, units)),
        make("td", { class: "num" + (quantity ? " strong" : " zero"), "data-quantity": quantity }, amount(quantity, metric)),
        make("td", {}, source),
      );
      return line;
    }

    function showMonth(month) {
      select.value = month;
      const rows = data.decided.filter((row) => row.t === month);
      const totals = data.totals[month] || [];
      const shown = [make("p", { class: "why-total" }, "The month comes to ", make("strong", {}, totals.join(", ") || "nothing"), ".")];
      for (const [title, belongs] of groups) {
        const inGroup = rows.filter(belongs);
        if (!inGroup.length) continue;
        const table = make(
          "table", { "data-group": title },
          make("caption", { class: "visually-hidden" }, `${title} in ${select.selectedOptions[0].text}`),
          head(["Rule", "rule"], ["Because"], ["Decided", "num count"], ["Counts as", "num amount"], ["Published in", "source"]),
          make("tbody", {}, ...inGroup.map(ruleRow)),
        );
        const scroll = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title }, table);
        shown.push(make("div", { class: "why-group" }, make("h4", {}, title), scroll));
      }
      place.replaceChildren(...shown);
      all("[data-step]").forEach((button) => {
        button.disabled = !months[months.indexOf(month) + Number(button.dataset.step)];
      });
    }

    function fromAddress() {
      const asked = /^#why=(\d{4}-\d{2})$/.exec(location.hash);
      if (!asked || !months.includes(asked[1])) return false;
      showMonth(asked[1]);
      find("#why").scrollIntoView();
      return true;
    }

    select.addEventListener("change", () => showMonth(select.value));
    all("[data-step]").forEach((button) =>
      button.addEventListener("click", () => showMonth(months[months.indexOf(select.value) + Number(button.dataset.step)])),
    );
    addEventListener("hashchange", fromAddress);
    if (!fromAddress()) showMonth(select.value);
  }

  // -------------------------------------------------------------------------------------------------------- done

  showTheme();
  root.dataset.ready = "true";
  performance.mark("drawn");
})();
