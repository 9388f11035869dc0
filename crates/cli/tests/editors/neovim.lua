-- What a person does in the editor, step by step. The results are written to results.json; the test
-- in Rust compares them.
local results = {}
local patience = 30000

-- Waits until something is the case.
local function wait(what, condition)
  vim.wait(patience, function()
    return condition() or results.exit
  end, 20)
  if not condition() then
    error('waited in vain: ' .. what)
  end
end

-- Asks the server and waits for its answer.
local function ask(method, params)
  local answers = vim.lsp.buf_request_sync(0, method, params, patience) or {}
  for _, answer in pairs(answers) do
    return answer.result
  end
end

-- The number of the line that holds a text, which the cursor is put at.
local function go(text)
  for number, line in ipairs(vim.api.nvim_buf_get_lines(0, 0, -1, false)) do
    local at = line:find(text, 1, true)
    if at then
      vim.api.nvim_win_set_cursor(0, { number, at - 1 })
      return number
    end
  end
  error('not found: ' .. text)
end

local function line(number)
  return vim.api.nvim_buf_get_lines(0, number - 1, number, false)[1]
end

local function position()
  return vim.lsp.util.make_position_params(0, 'utf-16')
end

local function steps()
  vim.g.do_filetype_lua = 1
  vim.cmd('set hidden')
  vim.opt.runtimepath:prepend(vim.env.EDITORS)
  vim.cmd('filetype on')
  vim.cmd('runtime! ftdetect/*.lua')
  vim.cmd('edit b_rules.yaml')
  results.filetype = vim.bo.filetype

  local config = dofile(vim.env.EDITORS .. '/lsp/peregrine.lua')
  assert(vim.tbl_contains(config.filetypes, vim.bo.filetype))
  config.cmd[1] = vim.env.PROGRAM
  config.root_dir = vim.fn.getcwd()
  config.on_exit = function(code)
    results.exit = code
  end
  local client = vim.lsp.start_client(config)
  vim.lsp.buf_attach_client(0, client)
  wait('the server', function()
    return vim.lsp.buf_is_attached(0, client)
  end)

  -- An error is shown at its word.
  wait('diagnostics', function()
    return #vim.diagnostic.get(0) > 0
  end)
  results.diagnostics = vim.tbl_map(function(found)
    local code = found.code or found.user_data.lsp.code
    local text = line(found.lnum + 1):sub(found.col + 1, found.end_col)
    return { message = found.message, code = code, text = text }
  end, vim.diagnostic.get(0))

  -- The remedy is applied, and the error disappears.
  local number = go('spawnd')
  local params = position()
  params.range = { start = params.position, ['end'] = params.position }
  params.context = { diagnostics = vim.lsp.diagnostic.get_line_diagnostics(0, number - 1) }
  local action = ask('textDocument/codeAction', params)[1]
  vim.lsp.util.apply_workspace_edit(action.edit, 'utf-16')
  results.fixed = line(number)
  wait('no diagnostics', function()
    return #vim.diagnostic.get(0) == 0
  end)
  results.diagnostics_after = #vim.diagnostic.get(0)

  -- Completion of a field that has been begun.
  vim.api.nvim_buf_set_lines(0, number - 1, number, false, { line(number) .. ' and proc.cm' })
  vim.api.nvim_win_set_cursor(0, { number, #line(number) })
  local params = position()
  params.position.character = #line(number)
  local found = ask('textDocument/completion', params)
  results.completions = vim.tbl_map(function(item)
    return item.label
  end, found.items or found)
  vim.api.nvim_buf_set_lines(0, number - 1, number, false, { results.fixed })

  go('spawned')
  results.hover = vim.inspect(ask('textDocument/hover', position()).contents)

  if vim.lsp.buf.format then
    vim.lsp.buf.format({ timeout_ms = patience })
  else
    vim.lsp.buf.formatting_sync(nil, patience)
  end
  results.formatted = line(number)

  vim.cmd('write')
  go('spawned')
  vim.lsp.buf.definition()
  wait('the definition', function()
    return vim.fn.expand('%:t') == 'a_rules.yaml'
  end)
  results.definition = { vim.fn.expand('%:t'), vim.fn.line('.') }

  wait('the server for the other file', function()
    return vim.lsp.buf_is_attached(0, client) or vim.lsp.buf_attach_client(0, client)
  end)
  local defined = go('spawned')
  vim.lsp.buf.rename('process_started')
  wait('the new name', function()
    return line(defined):find('process_started', 1, true)
  end)
  results.renamed = { line(defined) }
  vim.cmd('buffer b_rules.yaml')
  table.insert(results.renamed, line(number))

  vim.lsp.stop_client(client)
  wait('the end of the server', function()
    return results.exit ~= nil
  end)
end

local done, failure = pcall(steps)
if not done then
  results.error = tostring(failure)
end
local file = assert(io.open('results.json', 'w'))
file:write(vim.json.encode(results))
file:close()
vim.cmd('qall!')
