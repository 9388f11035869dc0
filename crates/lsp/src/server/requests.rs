//! Answers to requests.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use ls_types::request::{
    CodeActionRequest, Completion as CompletionRequest, DocumentHighlightRequest,
    DocumentSymbolRequest, FoldingRangeRequest, Formatting, GotoDefinition, HoverRequest,
    Initialize, PrepareRenameRequest, References, Rename, Request as _, SemanticTokensFullRequest,
    SemanticTokensRangeRequest, Shutdown, WorkspaceSymbolRequest,
};
use ls_types::{
    CodeActionKind, CodeActionOrCommand, CodeActionParams, CompletionList, DocumentHighlight,
    Hover, HoverContents, Location, MarkupContent, MarkupKind, Position, PrepareRenameResponse,
    SemanticTokens, TextEdit, Uri,
};
use lsp_server::ErrorCode;
use serde_json::Value;

use super::{Answer, Phase, Server, decode, encode};
use crate::completion::Completion;
use crate::diagnose::Places;
use crate::snapshot::Snapshot;
use crate::symbol::{Symbol, symbol_at};
use crate::workspace::{File, FileKind};
use crate::{config_file, hover, navigate, symbols};

impl Server {
    pub(super) fn answer(&mut self, method: &str, params: Value) -> Answer {
        match method {
            Shutdown::METHOD => {
                self.phase = Phase::Down;
                self.changed.clear();
                self.unlinted.clear();
                Ok(Value::Null)
            }
            Initialize::METHOD => {
                Err((ErrorCode::InvalidRequest, "the server is initialized".to_owned()))
            }
            CompletionRequest::METHOD => {
                let params: ls_types::CompletionParams = decode(params)?;
                let at = params.text_document_position;
                encode(self.completion(&at.text_document.uri, at.position))
            }
            HoverRequest::METHOD => {
                let params: ls_types::HoverParams = decode(params)?;
                let at = params.text_document_position_params;
                encode(self.hover(&at.text_document.uri, at.position))
            }
            GotoDefinition::METHOD => {
                let params: ls_types::GotoDefinitionParams = decode(params)?;
                let at = params.text_document_position_params;
                encode(self.with_symbol(&at.text_document.uri, at.position, |snapshot, symbol| {
                    navigate::definitions(snapshot, symbol)
                }))
            }
            References::METHOD => {
                let params: ls_types::ReferenceParams = decode(params)?;
                let declared = params.context.include_declaration;
                let at = params.text_document_position;
                encode(self.with_users(&at.text_document.uri, at.position, |snapshot, symbol| {
                    let spots = navigate::references(snapshot, symbol, declared);
                    let places = spots.iter().filter_map(|spot| snapshot.location(spot));
                    places.collect::<Vec<Location>>()
                }))
            }
            DocumentHighlightRequest::METHOD => {
                let params: ls_types::DocumentHighlightParams = decode(params)?;
                let at = params.text_document_position_params;
                let uri = at.text_document.uri.clone();
                encode(self.with_symbol(&uri, at.position, |snapshot, symbol| {
                    let spots = navigate::references(snapshot, symbol, true);
                    let places = spots.iter().filter_map(|spot| snapshot.location(spot));
                    let here = places.filter(|place| place.uri == uri);
                    here.map(|place| DocumentHighlight { range: place.range, kind: None })
                        .collect::<Vec<_>>()
                }))
            }
            PrepareRenameRequest::METHOD => {
                let params: ls_types::TextDocumentPositionParams = decode(params)?;
                encode(self.prepare_rename(&params.text_document.uri, params.position))
            }
            Rename::METHOD => {
                let params: ls_types::RenameParams = decode(params)?;
                let at = params.text_document_position;
                let new = params.new_name;
                let edit =
                    self.with_users(&at.text_document.uri, at.position, |snapshot, symbol| {
                        navigate::rename(snapshot, symbol, &new)
                    });
                match edit {
                    Some(Ok(edit)) => encode(edit),
                    Some(Err(error)) => Err((ErrorCode::RequestFailed, error.to_string())),
                    None => {
                        let error = navigate::RenameError::NoName;
                        Err((ErrorCode::RequestFailed, error.to_string()))
                    }
                }
            }
            DocumentSymbolRequest::METHOD => {
                let params: ls_types::DocumentSymbolParams = decode(params)?;
                encode(self.with_file(&params.text_document.uri, |snapshot, file, _| {
                    symbols::document(snapshot, file)
                }))
            }
            FoldingRangeRequest::METHOD => {
                let params: ls_types::FoldingRangeParams = decode(params)?;
                encode(self.with_file(&params.text_document.uri, |snapshot, file, _| {
                    symbols::folding(snapshot, file)
                }))
            }
            WorkspaceSymbolRequest::METHOD => {
                let params: ls_types::WorkspaceSymbolParams = decode(params)?;
                encode(symbols::workspace(&self.workspace.all(), &params.query))
            }
            SemanticTokensFullRequest::METHOD => {
                let params: ls_types::SemanticTokensParams = decode(params)?;
                encode(self.tokens(&params.text_document.uri, None))
            }
            SemanticTokensRangeRequest::METHOD => {
                let params: ls_types::SemanticTokensRangeParams = decode(params)?;
                encode(self.tokens(&params.text_document.uri, Some(params.range)))
            }
            CodeActionRequest::METHOD => {
                let params: CodeActionParams = decode(params)?;
                encode(self.actions(&params))
            }
            Formatting::METHOD => {
                let params: ls_types::DocumentFormattingParams = decode(params)?;
                self.format(&params.text_document.uri)
            }
            other => Err((ErrorCode::MethodNotFound, format!("no request `{other}`"))),
        }
    }

    /// Asks about an open rules file: its snapshot, its index there, and the file.
    fn with_file<T>(
        &mut self,
        uri: &Uri,
        ask: impl FnOnce(&Snapshot, usize, &Arc<File>) -> T,
    ) -> Option<T> {
        if self.workspace.kind(uri) != FileKind::Rules {
            return None;
        }
        let file = Arc::clone(self.workspace.file(uri)?);
        let snapshot = self.workspace.snapshot(Some(uri))?;
        let index = snapshot.index(&file)?;
        Some(ask(&snapshot, index, &file))
    }

    fn with_symbol<T>(
        &mut self,
        uri: &Uri,
        position: Position,
        ask: impl FnOnce(&Snapshot, &Symbol) -> T,
    ) -> Option<T> {
        self.with_file(uri, |snapshot, index, file| {
            let (symbol, ..) = symbol_at(snapshot, index, file.text.offset(position))?;
            Some(ask(snapshot, &symbol))
        })?
    }

    /// Asks about all files that may use what is at a place.
    fn with_users<T>(
        &mut self,
        uri: &Uri,
        position: Position,
        ask: impl FnOnce(&Snapshot, &Symbol) -> T,
    ) -> Option<T> {
        let symbol = self.with_symbol(uri, position, |_, symbol| symbol.clone())?;
        Some(ask(&*self.workspace.users(uri)?, &symbol))
    }

    fn completion(&mut self, uri: &Uri, position: Position) -> Option<CompletionList> {
        if self.workspace.kind(uri) == FileKind::Config {
            let text = &self.workspace.file(uri)?.text;
            let items = config_file::completion(text, text.offset(position));
            return Some(CompletionList { items, ..CompletionList::default() });
        }
        let (fields, snippets) = (Rc::clone(self.workspace.fields()), self.snippets);
        self.with_file(uri, |snapshot, index, file| {
            let completion = Completion { snapshot, fields: &fields, file: index, snippets };
            completion.at(&file.text, file.text.offset(position))
        })
    }

    fn hover(&mut self, uri: &Uri, position: Position) -> Option<Hover> {
        let markdown =
            |value| HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value });
        if self.workspace.kind(uri) == FileKind::Config {
            let text = &self.workspace.file(uri)?.text;
            let (page, range) = config_file::hover(text, text.offset(position))?;
            return Some(Hover { contents: markdown(page), range: Some(text.range(range)) });
        }
        let (fields, examples) = (Rc::clone(self.workspace.fields()), Rc::clone(&self.examples));
        let offset = self.workspace.file(uri)?.text.offset(position);
        let problems = self.problems.get(uri).map(|(_, placed)| hover::problems(placed, offset));
        let problems = problems.unwrap_or_default();
        self.with_file(uri, |snapshot, index, file| {
            let symbol = symbol_at(snapshot, index, offset);
            let page = symbol.as_ref().and_then(|(symbol, part, range)| {
                let page = hover::hover(snapshot, &fields, &examples, symbol)?;
                Some((page, snapshot.spot(*part, range.clone())))
            });
            let (page, spot) = match page {
                Some((page, spot)) if problems.is_empty() => (page, spot),
                Some((page, spot)) => (format!("{page}\n\n---\n\n{problems}"), spot),
                None if problems.is_empty() => return None,
                None => (problems, None),
            };
            let range = spot.map(|spot| file.text.range(spot.range));
            Some(Hover { contents: markdown(page), range })
        })?
    }

    fn prepare_rename(&mut self, uri: &Uri, position: Position) -> Option<PrepareRenameResponse> {
        self.with_file(uri, |snapshot, index, file| {
            let found = symbol_at(snapshot, index, file.text.offset(position))?;
            let (Symbol::Name(_, name), part, range) = found else { return None };
            let range = file.text.range(snapshot.spot(part, range)?.range);
            Some(PrepareRenameResponse::RangeWithPlaceholder { range, placeholder: name })
        })?
    }

    fn tokens(&mut self, uri: &Uri, range: Option<ls_types::Range>) -> Option<SemanticTokens> {
        self.with_file(uri, |snapshot, index, file| {
            let all = 0..file.text.as_str().len();
            let within = range
                .map_or(all, |range| file.text.offset(range.start)..file.text.offset(range.end));
            let data = symbols::tokens(snapshot, index, &within);
            SemanticTokens { result_id: None, data }
        })
    }

    fn actions(&mut self, params: &CodeActionParams) -> Vec<CodeActionOrCommand> {
        let uri = &params.text_document.uri;
        // Fixes are for the text that was checked.
        if !self.changed.is_empty() {
            self.check();
        }
        let Some((snapshot, placed)) = self.problems.get(uri) else { return Vec::new() };
        let Some(file) = snapshot.files.iter().find(|file| file.uri == *uri) else {
            return Vec::new();
        };
        let range: Range<usize> =
            file.text.offset(params.range.start)..file.text.offset(params.range.end);
        let places = Places::new(snapshot, self.workspace.pages());
        let mut actions = places.actions(&file.text, placed, &range);
        actions.extend(places.fix_all(placed));
        if let Some(only) = &params.context.only {
            actions.retain(|action| {
                let kind = action.kind.as_ref().map(CodeActionKind::as_str).unwrap_or_default();
                only.iter().any(|wanted| {
                    let rest = kind.strip_prefix(wanted.as_str());
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                })
            });
        }
        actions.into_iter().map(CodeActionOrCommand::CodeAction).collect()
    }

    fn format(&mut self, uri: &Uri) -> Answer {
        if self.workspace.kind(uri) != FileKind::Rules {
            return Ok(Value::Null);
        }
        let Some(file) = self.workspace.file(uri) else { return Ok(Value::Null) };
        let text = file.text.as_str();
        match peregrine_authoring::fmt::format(text) {
            Ok(formatted) => encode(edits(file, &formatted)),
            Err(error) => Err((ErrorCode::RequestFailed, error.to_string())),
        }
    }
}

/// One edit from the first to the last difference.
fn edits(file: &File, new: &str) -> Vec<TextEdit> {
    let old = file.text.as_str();
    if old == new {
        return Vec::new();
    }
    let same = old.bytes().zip(new.bytes()).take_while(|(old, new)| old == new).count();
    let mut start = same;
    while !old.is_char_boundary(start) || !new.is_char_boundary(start) {
        start -= 1;
    }
    let room = old.len().min(new.len()) - start;
    let ends = old.bytes().rev().zip(new.bytes().rev());
    let mut end = ends.take(room).take_while(|(old, new)| old == new).count();
    while !old.is_char_boundary(old.len() - end) || !new.is_char_boundary(new.len() - end) {
        end -= 1;
    }
    let range = file.text.range(start..old.len() - end);
    let new_text = new.get(start..new.len() - end).unwrap_or_default().to_owned();
    vec![TextEdit { range, new_text }]
}
