// What is wrong with how the scene on show fits its screen, one line per fault; and the smallest text, in per cent of
// the height. A text may not be smaller than 1.6 % of it, cut by any box, nor laid over another.
() => {
  const LEAST = 0.016, LINE = 0.22;
  const root = [...document.querySelectorAll("*")].find((node) => node.shadowRoot?.querySelector(".stage")).shadowRoot;
  const stage = root.querySelector(".stage"), zoom = Number(stage.style.zoom);
  const faults = new Set(), boxes = [], range = document.createRange();
  let smallest = Infinity;
  const page = document.documentElement;
  if (page.scrollHeight > innerHeight || page.scrollWidth > innerWidth) faults.add("the page scrolls");
  const whole = stage.getBoundingClientRect();
  if (Math.abs(whole.width - innerWidth) > 1 || Math.abs(whole.height - innerHeight) > 1) faults.add("the stage does not fill the screen");
  const walk = document.createTreeWalker(stage, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const said = node.textContent.trim(), parent = node.parentElement, drawn = parent instanceof SVGElement;
    if (!said || parent.closest(".scene:not(.on)") || !parent.checkVisibility({ visibilityProperty: true })) continue;
    const size = parseFloat(getComputedStyle(parent).fontSize) * (drawn ? parent.getScreenCTM().a : zoom);
    smallest = Math.min(smallest, size);
    if (size < innerHeight * LEAST) faults.add(`small: ${said}`);
    if (!drawn && getComputedStyle(parent).display !== "inline" && parent.scrollWidth > parent.clientWidth + 1) faults.add(`wider than its box: ${said}`);
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 1) continue;
      // The ink of a line, without the air above and below it.
      const [top, bottom] = [box.top + box.height * LINE, box.bottom - box.height * LINE];
      boxes.push([said, box.left, top, box.right, bottom]);
      for (let up = parent; up && up !== root; up = up.parentElement) {
        if (up !== stage && (up instanceof SVGElement || getComputedStyle(up).overflowX === "visible")) continue;
        const edge = up.getBoundingClientRect();
        if (box.left < edge.left - 1 || box.right > edge.right + 1 || top < edge.top - 1 || bottom > edge.bottom + 1) faults.add(`cut by ${up.className}: ${said}`);
      }
    }
  }
  boxes.forEach(([said, left, top, right, bottom], index) => {
    for (const [other, l, t, r, b] of boxes.slice(index + 1))
      if (Math.min(right, r) - Math.max(left, l) > 1 && Math.min(bottom, b) - Math.max(top, t) > 1) faults.add(`overlap: ${said} × ${other}`);
  });
  return { texts: boxes.length, smallest: smallest / innerHeight * 100, faults: [...faults] };
}
