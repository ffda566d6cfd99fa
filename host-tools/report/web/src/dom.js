// Builds the document from data. Text becomes text nodes, never markup: whatever a guest chose stays inert.
// SPDX-License-Identifier: MIT

/// element('p', {class: 'note'}, 'text', child): attributes by name, `on` for listeners; null children are skipped.
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? '' : String(value));
    }
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== '') node.append(child);
  }
  return node;
}

/// A table with a caption and header cells; columns: {title, number?: bool, cell(row) -> text or node}.
export function table(caption, columns, rows, attributes = {}) {
  const cell = (column, row) => {
    const content = column.cell(row);
    return element(column.header ? 'th' : 'td', { class: column.number ? 'number' : column.class, scope: column.header ? 'row' : null, 'data-title': column.title },
      content === null || content === undefined ? '' : content);
  };
  return element('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    element('table', attributes,
      element('caption', {}, caption),
      element('thead', {}, element('tr', {},
        columns.map((column) => element('th', { scope: 'col', class: column.number ? 'number' : null }, column.title)))),
      element('tbody', {}, rows.map((row) => element('tr', {}, columns.map((column) => cell(column, row)))))));
}

export function section(id, title, ...children) {
  return element('section', { id, 'aria-labelledby': `${id}-title` },
    element('h2', { id: `${id}-title` }, title), ...children);
}
